//! The YAML reader and writer: what is read is written so that it reads the same.

use renderer::yaml::{decode, interpret, parse, write};

pub(crate) const WORDS: &[&str] = &[
    "a: ",
    "- ",
    "? ",
    ": ",
    "\n",
    "\n  ",
    "&a ",
    "*a",
    "<<: ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "|\n ",
    ">-\n ",
    "'",
    "\"",
    "\\u2028",
    "!!str ",
    "!!set ",
    "# ",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "~",
    "0x1F",
    "1_000",
    "1e3",
    "12:30",
    "yes",
    "\u{85}",
    "\u{feff}",
    "\u{f0000}",
    "\t",
    "\r\n",
];

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = decode(bytes) else { return };
    let Ok(documents) = parse(text) else { return };
    for node in documents {
        let Ok(value) = interpret(&node) else { continue };
        let written = write(&value);
        let again =
            parse(&written).unwrap_or_else(|faults| panic!("{faults:?} in what was written:\n{written}"));
        let again: Vec<_> = again.iter().map(|node| interpret(node).unwrap()).collect();
        // A document that is nothing but null is an empty one.
        assert!(again == [value.clone()], "{value:?} became {again:?}");
    }
}
