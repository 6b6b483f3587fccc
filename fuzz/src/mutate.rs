//! New inputs from known ones, without knowing what a target does with them: enough to find what is shallow
//! on any machine.

/// The longest input that is made.
const MAX_BYTES: usize = 64 * 1024;

/// The `SplitMix64` generator: the same seed gives the same inputs.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `limit`, or 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn pick<'t, T: ?Sized>(&mut self, items: &[&'t T]) -> Option<&'t T> {
        items.get(self.below(items.len())).copied()
    }

    fn range(&mut self, input: &[u8]) -> std::ops::Range<usize> {
        let start = self.below(input.len() + 1);
        let longest = [4, 32, input.len()][self.below(3)];
        start..(start + self.below(longest + 1)).min(input.len())
    }
}

/// Returns an input made of one of `corpus`, with some changes.
pub fn mutated(corpus: &[&[u8]], words: &[&str], random: &mut Random) -> Vec<u8> {
    let mut input = random.pick(corpus).unwrap_or_default().to_vec();
    for _ in 0..=random.below(6) {
        change(&mut input, corpus, words, random);
    }
    input.truncate(MAX_BYTES);
    input
}

fn change(input: &mut Vec<u8>, corpus: &[&[u8]], words: &[&str], random: &mut Random) {
    let range = random.range(input);
    let replacement = match random.below(6) {
        0 => Vec::new(),
        1 => vec![random.below(256) as u8],
        2 => random.pick(words).unwrap_or_default().as_bytes().to_vec(),
        3 => input[range.clone()].repeat(2 + random.below(8)),
        4 => {
            let other = random.pick(corpus).unwrap_or_default();
            other[random.range(other)].to_vec()
        }
        // Put beside what is there, instead of in its place.
        _ => {
            let word = random.pick(words).unwrap_or_default().as_bytes();
            [word, &input[range.clone()]].concat()
        }
    };
    input.splice(range, replacement);
}
