// node send.js ENDPOINT FILE STORE [STOP_AFTER_BYTES]: sends a file as the documentation of tus-js-client shows it, going
// on with an earlier upload of the file where STORE knows one. Prints the upload's address.
const fs = require('fs')
const tus = require('tus-js-client')

const [endpoint, file, store, stopAfter] = process.argv.slice(2)
const upload = new tus.Upload(fs.createReadStream(file), {
  endpoint,
  chunkSize: 256 * 1024,
  retryDelays: [0, 100, 500],
  metadata: { filename: 'from js.csv', filetype: 'text/csv' },
  urlStorage: new tus.FileUrlStorage(store),
  removeFingerprintOnSuccess: true,
  onError(error) {
    console.error(error.message)
    process.exit(1)
  },
  onChunkComplete(_, accepted) {
    if (stopAfter && accepted >= Number(stopAfter)) {
      console.log(upload.url)
      process.exit(0)
    }
  },
  onSuccess() {
    console.log(upload.url)
  },
})
upload.findPreviousUploads().then((previous) => {
  if (previous.length) upload.resumeFromPreviousUpload(previous[0])
  upload.start()
})
