"""python3 send.py ENDPOINT FILE STORE [STOP_AT]: sends a file as the documentation of tuspy shows it, with checksums,
going on with an earlier upload of the file where STORE knows one. Prints the upload's address."""

import sys

from tusclient import client
from tusclient.storage.filestorage import FileStorage

endpoint, file, store = sys.argv[1:4]
stop_at = int(sys.argv[4]) if len(sys.argv) > 4 else None
uploader = client.TusClient(endpoint).uploader(
    file,
    chunk_size=256 * 1024,
    metadata={"filename": "from python.csv"},
    store_url=True,
    url_storage=FileStorage(store),
    upload_checksum=True,
    retries=3,
    retry_delay=0,
)
uploader.upload(stop_at=stop_at)
print(uploader.url)
