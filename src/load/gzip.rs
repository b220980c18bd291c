//! Gzip content (RFC 1952, any number of members) is expanded once into the work folder; everything behind reads that.

use std::io::{self, Read, Write};

use bytesize::ByteSize;
use flate2::read::MultiGzDecoder;

use super::{
    folder::Folder,
    input::{Input, as_error, reading},
    pass::Pass,
};
use crate::{
    error::{Error, Result},
    hash::{Hashed, WholeSha256},
};

/// The expanded file's name in the work folder.
pub const EXPANDED: &str = "expanded.csv";

const PIECE_BYTES: usize = 256 << 10;

/// Expands `input` into the folder and finds the expanded length.
pub fn expand(input: Input, folder: &Folder, max_bytes: u64) -> Result<Pass<u64>> {
    let mut hashed = Hashed::<_, WholeSha256>::new(input);
    let expanded = write_expanded(&mut hashed, folder, max_bytes);
    Pass::to_end(expanded, || hashed.finish().map_err(reading))
}

fn write_expanded(input: &mut Hashed<Input, WholeSha256>, folder: &Folder, max_bytes: u64) -> Result<u64> {
    let mut out = folder.stage(EXPANDED)?;
    let mut decoder = MultiGzDecoder::new(input);
    let (mut piece, mut length) = (vec![0; PIECE_BYTES], 0);
    loop {
        let read = decoder.read(&mut piece).map_err(|error| undecodable(error, length))?;
        if read == 0 {
            break;
        }
        length += read as u64;
        if length > max_bytes {
            let doing = format!("the gzip content expands to more than {}", ByteSize(max_bytes));
            return Err(Error::rejected("expanded_too_large", doing)
                .next("split the file into smaller ones, or have server.max_upload_bytes raised"));
        }
        out.write_all(&piece[..read]).map_err(|error| out.failed(error))?;
    }
    out.publish()?;
    Ok(length)
}

/// What an error of decoding means: an error of reading keeps its kind.
fn undecodable(error: io::Error, length: u64) -> Error {
    let next = "make the .gz file again (\"gzip -t FILE\" checks it), and send that; nothing was stored of it";
    match as_error(error) {
        Ok(error) => error,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let doing = format!("the gzip content ends too early: it breaks off after {length} expanded bytes");
            Error::rejected("gzip_truncated", doing).next(next)
        }
        Err(error) => {
            let doing = format!("the gzip content is damaged after {length} expanded bytes");
            Error::rejected("gzip_damaged", doing).because(error).next(next)
        }
    }
}
