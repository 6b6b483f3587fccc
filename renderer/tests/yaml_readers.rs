//! What we write is judged by other people's readers: each must read every hostile document as it was meant.
//!
//! `verdicts/yaml.json` records which readers agreed on which bytes, so that the check holds where a reader
//! is missing. After a change to the writer or the documents, run this test once with `RECORD_VERDICT=1` on a
//! machine that has all readers.

#![expect(clippy::unwrap_used, reason = "a judgement that cannot be made fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fleetwright_renderer::yaml::{self, Value, interpret, parse};
use serde::{Deserialize, Serialize};
use testkit::hostile;
use testkit::readers::{self, Reader};

const SEED: u64 = 11;
const RANDOM_DOCUMENTS: usize = 2_000;

/// Which readers read a corpus as it was meant.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Verdict {
    /// The digest of all documents as they were written.
    corpus: String,
    documents: usize,
    /// The versions of the readers that agreed.
    readers: BTreeMap<String, String>,
}

struct Document {
    meant: serde_json::Value,
    written: String,
}

fn corpus() -> Vec<Document> {
    let random = hostile::random_documents(SEED, RANDOM_DOCUMENTS);
    let values = hostile::handmade_documents().into_iter().chain(random);
    values.map(|meant| Document { written: yaml::write(&Value::from(&meant)), meant }).collect()
}

fn digest(corpus: &[Document]) -> String {
    let mut hasher = blake3::Hasher::new();
    for document in corpus {
        hasher.update(&(document.written.len() as u64).to_le_bytes());
        hasher.update(document.written.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// Returns the documents that the reader misreads, each with what it read.
fn misread(reader: &Reader, corpus: &[Document]) -> Vec<String> {
    let written: Vec<_> = corpus.iter().map(|document| document.written.as_str()).collect();
    let verdicts = reader.read(&written).unwrap();
    let wrong =
        corpus.iter().zip(verdicts).filter(|(document, verdict)| verdict.as_ref() != Ok(&document.meant));
    wrong
        .map(|(document, verdict)| {
            let told = format!("{} reads {:?} as {verdict:?}", reader.name, document.written);
            told.chars().take(2_000).collect()
        })
        .collect()
}

fn record_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verdicts/yaml.json")
}

fn record(verdict: &Verdict) {
    std::fs::write(record_path(), serde_json::to_string_pretty(verdict).unwrap() + "\n").unwrap();
}

fn recorded() -> Verdict {
    serde_json::from_str(&std::fs::read_to_string(record_path()).unwrap()).unwrap()
}

#[test]
fn every_reader_reads_what_was_meant() {
    let corpus = corpus();
    let readers = readers::available();
    let wrong: Vec<_> = readers.iter().flat_map(|reader| misread(reader, &corpus)).collect();
    let first = wrong[..wrong.len().min(5)].join("\n");
    assert!(wrong.is_empty(), "{} documents are misread, such as\n{first}", wrong.len());

    let verdict = Verdict {
        corpus: digest(&corpus),
        documents: corpus.len(),
        readers: readers.iter().map(|reader| (reader.name.clone(), reader.version.clone())).collect(),
    };
    if std::env::var_os("RECORD_VERDICT").is_some() {
        record(&verdict);
    }
    let recorded = recorded();
    assert_eq!(recorded.readers.len(), 5, "the recorded verdict is not that of all readers");
    assert_eq!(
        (verdict.corpus, verdict.documents),
        (recorded.corpus, recorded.documents),
        "the written bytes are not the judged ones: run this test with RECORD_VERDICT=1 where all of {:?} are there",
        recorded.readers.keys()
    );
}

#[test]
fn our_own_reader_reads_what_was_meant() {
    for document in corpus() {
        let nodes =
            parse(&document.written).unwrap_or_else(|faults| panic!("{faults:?} in {:?}", document.written));
        let read = interpret(&nodes[0]).map(|value| value.to_json());
        assert_eq!(read.as_ref(), Ok(&document.meant), "{:?}", document.written);
    }
}

#[test]
fn what_we_take_bare_no_reader_takes_for_anything_else() {
    let strings = hostile::strings();
    let lines: Vec<_> = strings.iter().map(|text| format!("k: {text}\n")).collect();
    let accepted: Vec<_> = lines.iter().filter_map(|line| Some((line.as_str(), read_one(line)?))).collect();
    assert!(accepted.len() > 50, "only {} texts are accepted bare", accepted.len());
    let documents: Vec<_> = accepted.iter().map(|(line, _)| *line).collect();
    for reader in readers::available() {
        // A reader may refuse what we take, as PyYAML does with tabs: that misleads no one.
        for ((line, ours), theirs) in accepted.iter().zip(reader.read(&documents).unwrap()) {
            let is_same = theirs.as_ref().is_err() || theirs.as_ref() == Ok(ours);
            assert!(is_same, "{} reads {line:?} as {theirs:?}", reader.name);
        }
    }
}

#[test]
fn a_document_that_breaks_off_is_read_or_told_about_and_nothing_else() {
    let corpus = corpus();
    let short = corpus.iter().map(|document| document.written.as_str()).filter(|written| written.len() < 120);
    for written in short {
        for (end, _) in written.char_indices() {
            let Err(faults) = parse(&written[..end]) else { continue };
            let lines = written[..end].split('\n').count();
            let is_inside = |line: u32| (1..=lines + 1).contains(&(line as usize));
            assert!(faults.iter().all(|fault| is_inside(fault.position.line)), "{faults:?} in {written:?}");
            assert!(!faults.is_empty(), "{written:?} is refused without a reason");
        }
    }
}

/// Block scalars at the end of a file, with every kind of header and of last line.
fn last_block_scalars() -> Vec<String> {
    const HEADS: [&str; 14] = [
        "a: |",
        "a: >",
        "a: |-",
        "a: |+",
        "a: >-",
        "a: >+",
        "a: |2",
        "a: |  # note",
        "m:\n  k: |",
        "m:\n  k: |+",
        "- |",
        "- >+",
        "|",
        "k: 1\na: |+",
    ];
    const LAST: [&str; 22] = [
        "x", "x\n", "x\n\n", "x\n\n  ", "x\n  y", "x\n  y\n", "x\n\n  y", "x ", "x  \n ", "", "\n", "\n  ",
        "\n  x", "x\n ", "x\n  ", "x\n   ", "x\n    y", "x\n# c", "x\n # c", "x\n  # c", "x\n...", "# c",
    ];
    let texts = HEADS.iter().flat_map(|head| LAST.iter().map(move |last| (head, last)));
    let texts = texts.map(|(head, last)| {
        let indent = if head.contains("  k") { "    " } else { "  " };
        format!("{head}\n{indent}{}", last.replace("\n  ", &format!("\n{indent}")))
    });
    texts.flat_map(|text| [text.replace('\n', "\r\n"), text]).collect()
}

#[test]
fn a_file_that_ends_in_a_block_scalar_is_read_as_others_read_it() {
    let texts = last_block_scalars();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    for reader in readers::available() {
        for (text, theirs) in texts.iter().zip(reader.read(&texts).unwrap()) {
            let is_same = theirs.is_err() || theirs.ok() == read_one(text);
            assert!(is_same, "{} reads {text:?} otherwise than we do: {:?}", reader.name, read_one(text));
        }
    }
}

fn read_one(text: &str) -> Option<serde_json::Value> {
    match parse(text).ok()?.as_slice() {
        [node] => Some(interpret(node).ok()?.to_json()),
        _ => None,
    }
}
