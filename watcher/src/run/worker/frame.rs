//! Frames: a message and the bytes that it is about, as they pass between the service and a worker.
//!
//! A frame is two lengths, the message as JSON and the bytes as they are. Both lengths are bounded, so that
//! what arrives costs no more memory than a frame may have. Knows nothing of what messages mean.

use std::io::{self, BufRead, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// The longest message: the problems of a large fleet take some megabytes.
const MAX_MESSAGE_BYTES: u32 = 64 << 20;
/// The most bytes beside a message: one cluster's files.
const MAX_CONTENT_BYTES: u32 = 512 << 20;

/// Something arrived that is no frame.
#[derive(Debug, Error)]
pub(super) enum FrameError {
    /// The other side ended in the middle of a frame, or the pipe is broken.
    #[error(transparent)]
    Pipe(#[from] io::Error),
    /// A frame claims to be longer than any is.
    #[error("a frame of {0} bytes")]
    TooLong(u32),
    /// The message is not one that is known.
    #[error("a message that cannot be read")]
    Message(#[from] serde_json::Error),
}

/// Writes a message with the bytes that it is about.
pub(super) fn write<'a>(
    out: &mut impl Write,
    message: &impl Serialize,
    content: impl Iterator<Item = &'a [u8]> + Clone,
) -> io::Result<()> {
    let message = serde_json::to_vec(message)?;
    for (length, limit) in
        [(message.len(), MAX_MESSAGE_BYTES), (content.clone().map(<[u8]>::len).sum(), MAX_CONTENT_BYTES)]
    {
        let length = u32::try_from(length).ok().filter(|length| *length <= limit);
        let length = length.ok_or_else(|| io::Error::other("a frame that is too long"))?;
        out.write_all(&length.to_le_bytes())?;
    }
    out.write_all(&message)?;
    content.into_iter().try_for_each(|part| out.write_all(part))
}

/// Reads a message with the bytes that it is about; nothing if the other side has ended between two frames.
pub(super) fn read<M: DeserializeOwned>(
    input: &mut impl BufRead,
) -> Result<Option<(M, Vec<u8>)>, FrameError> {
    if input.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let (message, content) = (length(input, MAX_MESSAGE_BYTES)?, length(input, MAX_CONTENT_BYTES)?);
    let message = serde_json::from_slice(&exactly(input, message)?)?;
    Ok(Some((message, exactly(input, content)?)))
}

fn length(input: &mut impl Read, limit: u32) -> Result<u32, FrameError> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > limit { Err(FrameError::TooLong(length)) } else { Ok(length) }
}

/// Reads so many bytes. Memory is taken as they arrive, and not by what a length claims.
fn exactly(input: &mut impl Read, length: u32) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(u64::from(length)).read_to_end(&mut bytes)?;
    if bytes.len() == length as usize { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(message: &str, content: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, &message, content.iter().copied()).unwrap();
        out
    }

    fn read_text(mut bytes: &[u8]) -> Result<Option<(String, Vec<u8>)>, FrameError> {
        read(&mut bytes)
    }

    #[test]
    fn what_is_written_is_read_and_the_end_is_no_frame() {
        let bytes = written("one", &[b"ab", b"", b"c"]);
        assert_eq!(read_text(&bytes).unwrap(), Some(("one".to_owned(), b"abc".to_vec())));
        assert_eq!(read_text(&[]).unwrap(), None);
    }

    #[test]
    fn a_frame_that_ends_early_is_an_error_wherever_it_ends() {
        let bytes = written("one", &[b"abc"]);
        for end in 1..bytes.len() {
            assert!(matches!(read_text(&bytes[..end]), Err(FrameError::Pipe(_))), "cut at {end}");
        }
    }

    #[test]
    fn a_length_beyond_the_bound_is_refused_before_anything_is_read() {
        let mut bytes = written("one", &[]);
        bytes[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(read_text(&bytes), Err(FrameError::TooLong(u32::MAX))));
        let mut bytes = written("one", &[]);
        bytes[4..8].copy_from_slice(&(MAX_CONTENT_BYTES + 1).to_le_bytes());
        assert!(matches!(read_text(&bytes), Err(FrameError::TooLong(_))));
    }

    #[test]
    fn a_message_of_another_kind_is_refused() {
        let mut out = Vec::new();
        write(&mut out, &17, std::iter::empty()).unwrap();
        assert!(matches!(read_text(&out), Err(FrameError::Message(_))));
    }
}
