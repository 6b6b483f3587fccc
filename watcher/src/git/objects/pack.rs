//! Writing many objects as one pack: no deltas, fast deflate on all cores.
//!
//! The pack goes through libgit2's indexer, which checks every object and writes the index.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use rayon::prelude::*;
use sha1::{Digest, Sha1};

use super::object::NewObject;

/// Rendered YAML shrinks to a third at level 1; higher levels take three times as long for a sixth less.
const LEVEL: u32 = 1;

/// Objects compressed at a time, so that a large fleet's pack never stands in memory twice.
const BATCH: usize = 4096;

/// Writes `objects` as a pack, piece by piece.
pub(in crate::git) fn write(objects: &[NewObject], out: &mut (impl Write + ?Sized)) -> std::io::Result<()> {
    let mut out = Hashing { out, hasher: Sha1::new() };
    out.put(&header(objects.len()))?;
    for batch in objects.chunks(BATCH) {
        let entries: Vec<Vec<u8>> = batch.par_iter().map(entry).collect::<Result<_, _>>()?;
        for bytes in &entries {
            out.put(bytes)?;
        }
    }
    let Hashing { out, hasher } = out;
    out.write_all(&hasher.finalize())
}

fn header(count: usize) -> [u8; 12] {
    let count = u32::try_from(count).expect("a run writes fewer than four billion objects");
    let mut header = *b"PACK\0\0\0\x02\0\0\0\0";
    header[8..].copy_from_slice(&count.to_be_bytes());
    header
}

fn entry(object: &NewObject) -> std::io::Result<Vec<u8>> {
    let kind = u8::try_from(object.kind.raw()).expect("git numbers the kinds of objects from one to seven");
    let mut bytes = entry_head(kind, object.bytes.len());
    bytes.reserve(object.bytes.len() / 2);
    let mut deflate = ZlibEncoder::new(bytes, Compression::new(LEVEL));
    deflate.write_all(&object.bytes)?;
    deflate.finish()
}

/// The kind, by the number that git and libgit2 give it, and the size: four bits of the size beside the kind, then
/// seven a byte, lowest first.
fn entry_head(kind: u8, size: usize) -> Vec<u8> {
    let mut head = vec![kind << 4 | (size & 0xF) as u8];
    let mut rest = size >> 4;
    while rest > 0 {
        let last = head.len() - 1;
        head[last] |= 0x80;
        head.push((rest & 0x7F) as u8);
        rest >>= 7;
    }
    head
}

struct Hashing<'a, W: ?Sized> {
    out: &'a mut W,
    hasher: Sha1,
}

impl<W: Write + ?Sized> Hashing<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hasher.update(bytes);
        self.out.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_head_carries_kind_and_size() {
        assert_eq!(entry_head(3, 5), [0x35]);
        assert_eq!(entry_head(3, 16), [0xB0, 0x01]);
        assert_eq!(entry_head(1, 0xFFFF), [0x9F, 0xFF, 0x1F]);
    }

    #[test]
    fn a_pack_of_nothing_is_a_header_and_its_digest() {
        let mut bytes = Vec::new();
        write(&[], &mut bytes).unwrap();
        assert_eq!(bytes.len(), 32);
        assert_eq!(&bytes[..12], b"PACK\0\0\0\x02\0\0\0\0");
    }
}
