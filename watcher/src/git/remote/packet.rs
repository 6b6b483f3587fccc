//! Git's packets: lines with their length before them, and the channels that a side band carries.
//!
//! What comes from the other side is not trusted: every length is bounded before memory is taken for it.

use std::io::{Read, Write};
use std::time::Instant;

use super::pace::Pace;
use crate::git::error::Fault;

/// A packet's length stands in four digits before it, which it includes.
const LENGTH_DIGITS: usize = 4;

/// The other side prints as much as it likes; no more than this is shown.
const MAX_PRINTED_BYTES: usize = 16 * 1024;

/// A repository with a hundred thousand refs lists about ten million bytes.
pub(super) const MAX_LIST_BYTES: usize = 64 << 20;

/// What stands between two lengths.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet {
    Line(Vec<u8>),
    /// The end of a list or of a request.
    Flush,
    /// What separates the parts of a request.
    Delimiter,
    /// The end of an answer over a connection that does not stay.
    End,
}

impl Packet {
    /// Reads the next packet.
    pub(in crate::git) fn read(input: &mut (impl Read + ?Sized)) -> Result<Self, Fault> {
        let mut digits = [0; LENGTH_DIGITS];
        input.read_exact(&mut digits).map_err(|error| broken_off(&error))?;
        match length(digits) {
            Some(0) => Ok(Self::Flush),
            Some(1) => Ok(Self::Delimiter),
            Some(2) => Ok(Self::End),
            Some(length) if length >= LENGTH_DIGITS => {
                let mut line = vec![0; length - LENGTH_DIGITS];
                input.read_exact(&mut line).map_err(|error| broken_off(&error))?;
                Ok(Self::Line(line))
            }
            _ => Err(Fault::transient("the other side does not speak git's pack protocol")),
        }
    }

    /// Reads the next line without its line break, or `None` at the end of a list.
    pub(super) fn read_line(input: &mut (impl Read + ?Sized)) -> Result<Option<String>, Fault> {
        match Self::read(input)? {
            Self::Line(line) if line.starts_with(b"ERR ") => {
                Err(Fault::transient(format!("the other side reports: {}", printable(&line[4..]))))
            }
            Self::Line(line) => Ok(Some(String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned())),
            _ => Ok(None),
        }
    }
}

/// Reads the lines of a list, which altogether may not be longer than any repository's.
pub(super) fn read_list(
    input: &mut (impl Read + ?Sized),
    mut take: impl FnMut(&str) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut bytes = 0;
    while let Some(line) = Packet::read_line(input)? {
        bytes += line.len() + LENGTH_DIGITS;
        if bytes > MAX_LIST_BYTES {
            return Err(Fault::transient(format!(
                "the other side's list is longer than {} MiB",
                MAX_LIST_BYTES >> 20
            )));
        }
        take(&line)?;
    }
    Ok(())
}

/// Reads the first line of a greeting. Web servers put a line of their own before it, though not all do.
pub(super) fn read_greeting(input: &mut (impl Read + ?Sized)) -> Result<Option<String>, Fault> {
    let first = Packet::read_line(input)?;
    if !first.as_ref().is_some_and(|line| line.starts_with("# service=")) {
        return Ok(first);
    }
    match Packet::read(input)? {
        Packet::Flush => Packet::read_line(input),
        _ => Err(Fault::transient("the web server's greeting is not git's")),
    }
}

/// Reads the digits of a length. None of them is a sign, which a parser of numbers would take.
fn length(digits: [u8; LENGTH_DIGITS]) -> Option<usize> {
    digits.iter().try_fold(0, |length, digit| Some(length << 4 | char::from(*digit).to_digit(16)? as usize))
}

/// Writes a line as a packet.
pub(super) fn write_line(out: &mut (impl Write + ?Sized), line: &str) -> Result<(), Fault> {
    write(out, format_args!("{:04x}{line}", line.len() + LENGTH_DIGITS))
}

/// Ends a list or a request.
pub(super) fn write_flush(out: &mut (impl Write + ?Sized)) -> Result<(), Fault> {
    write(out, format_args!("0000"))
}

/// Separates the parts of a request.
pub(super) fn write_delimiter(out: &mut (impl Write + ?Sized)) -> Result<(), Fault> {
    write(out, format_args!("0001"))
}

fn write(out: &mut (impl Write + ?Sized), text: std::fmt::Arguments<'_>) -> Result<(), Fault> {
    out.write_fmt(text).map_err(|error| broken_off(&error))
}

/// The first channel of a side band, as a stream; what the other side prints on the second is kept.
pub(in crate::git) struct SideBand<'a> {
    input: &'a mut dyn Read,
    printed: Vec<u8>,
    /// Measures the first channel alone.
    pace: Pace,
}

impl<'a> SideBand<'a> {
    pub(in crate::git) fn new(input: &'a mut dyn Read, pace: Pace) -> Self {
        Self { input, printed: Vec::new(), pace }
    }

    /// Returns what there is next in the first channel, or `None` at its end.
    pub(super) fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        while let Packet::Line(mut line) = Packet::read(self.input)? {
            // An empty packet keeps the connection alive, as does an empty line in a channel.
            let channel = if line.is_empty() { None } else { Some(line.remove(0)) };
            let content = if channel == Some(1) { line.len() } else { 0 };
            self.pace.note(content, Instant::now()).map_err(|error| broken_off(&error))?;
            match channel {
                Some(1) if content > 0 => return Ok(Some(line)),
                Some(2) => {
                    let room = MAX_PRINTED_BYTES.saturating_sub(self.printed.len());
                    self.printed.extend_from_slice(&line[..line.len().min(room)]);
                }
                None | Some(1) => {}
                Some(_) => {
                    return Err(Fault::transient(format!("the other side reports: {}", printable(&line))));
                }
            }
        }
        Ok(None)
    }

    /// Reads the first channel to its end.
    pub(in crate::git) fn read_to_end(&mut self, limit: usize) -> Result<Vec<u8>, Fault> {
        let mut all = Vec::new();
        while let Some(chunk) = self.next_chunk()? {
            all.extend_from_slice(&chunk);
            if all.len() > limit {
                return Err(Fault::transient("the other side's report is too long"));
            }
        }
        Ok(all)
    }

    /// Returns what the other side printed, without the progress that is overwritten on a terminal.
    pub(super) fn printed(&self) -> String {
        let text = String::from_utf8_lossy(&self.printed);
        let lines = text.lines().map(|line| line.rsplit('\r').next().unwrap_or_default().trim_end());
        let kept: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
        kept.join("\n").chars().filter(|c| *c == '\n' || !c.is_control()).collect()
    }
}

/// A conversation ended in the middle.
pub(super) fn broken_off(error: &std::io::Error) -> Fault {
    Fault::transient(match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "the other side ended the conversation early".to_owned(),
        _ => format!("the conversation with the other side broke off: {error}"),
    })
}

fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::remote::pace::PaceLimits;

    fn pace() -> Pace {
        Pace::new(PaceLimits::DEFAULT, Instant::now())
    }

    #[test]
    fn packets_carry_their_length_and_a_flush_ends_them() {
        let mut input: &[u8] = b"0009hello000000010002";
        let read = |input: &mut &[u8]| Packet::read(input).unwrap();
        assert_eq!(read(&mut input), Packet::Line(b"hello".into()));
        assert_eq!(
            [read(&mut input), read(&mut input), read(&mut input)],
            [Packet::Flush, Packet::Delimiter, Packet::End]
        );
        for bad in ["", "00", "0009hel", "000", "0003", "zzzz", "+00a", "+00ahello\n", "-001", " 00a"] {
            assert!(Packet::read(&mut bad.as_bytes()).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn an_error_line_is_reported_in_its_own_words() {
        let error = Packet::read_line(&mut b"0015ERR access denied\n".as_slice()).unwrap_err();
        assert_eq!(error.to_string(), "the other side reports: access denied");
    }

    #[test]
    fn a_list_without_end_is_not_read_to_its_end() {
        let list = format!("fff0{}", "x".repeat(0xfff0 - LENGTH_DIGITS)).repeat((MAX_LIST_BYTES >> 16) + 2);
        let error = read_list(&mut list.as_bytes(), |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("longer than 64 MiB"), "{error}");
    }

    #[test]
    fn what_only_keeps_the_connection_alive_is_no_part_of_an_answer() {
        let limits = PaceLimits { begin: std::time::Duration::ZERO, ..PaceLimits::DEFAULT };
        for packet in testkit::hostile::floods::GIT_KEEP_ALIVES {
            let input = packet.repeat(1_000);
            let mut input = input.as_slice();
            let mut band = SideBand::new(&mut input, Pace::new(limits, Instant::now()));
            let error = band.next_chunk().unwrap_err();
            assert!(error.to_string().contains("fewer than 1024 KiB came"), "{error}");
        }
    }

    #[test]
    fn a_side_band_parts_the_stream_from_what_is_printed() {
        let mut input: &[u8] = b"0007\x01ab0011\x0250%\r100%\nhi\n00040006\x01c0000";
        let mut band = SideBand::new(&mut input, pace());
        assert_eq!(band.read_to_end(9).unwrap(), b"abc");
        assert_eq!(band.printed(), "100%\nhi");
        let mut input: &[u8] = b"0008\x03no!";
        assert_eq!(
            SideBand::new(&mut input, pace()).next_chunk().unwrap_err().to_string(),
            "the other side reports: no!"
        );
    }
}
