//! ureq's buffers, small at first: most responses to a check fit in the first page.

use ureq::unversioned::transport::Buffers;

const FIRST_INPUT: usize = 4 << 10;
const OUTPUT: usize = 4 << 10;

/// A buffer each for the request and for the response; the latter grows with its head.
#[derive(Debug, Default)]
pub struct GrowingBuffers {
    input: Vec<u8>,
    consumed: usize,
    filled: usize,
    output: Vec<u8>,
    /// Whether the last look at the input took something of it; if not, it waits for more.
    progress: bool,
}

impl Buffers for GrowingBuffers {
    fn output(&mut self) -> &mut [u8] {
        if self.output.is_empty() {
            self.output.resize(OUTPUT, 0);
        }
        &mut self.output
    }

    fn input(&self) -> &[u8] {
        &self.input[self.consumed..self.filled]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.input.copy_within(self.consumed..self.filled, 0);
        self.filled -= self.consumed;
        self.consumed = 0;
        if self.filled == self.input.len() {
            // Bounded by ureq's limit on the head, which it checks after each addition.
            self.input
                .resize((self.input.len() * 2).max(FIRST_INPUT), 0);
        }
        &mut self.input[self.filled..]
    }

    fn input_appended(&mut self, amount: usize) {
        self.filled += amount;
    }

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.consumed += amount;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        if self.output.is_empty() {
            self.output.resize(OUTPUT, 0);
        }
        if self.filled == self.input.len() {
            self.input
                .resize((self.input.len() * 2).max(FIRST_INPUT), 0);
        }
        (&mut self.input[self.filled..], &mut self.output)
    }

    fn can_use_input(&self) -> bool {
        self.consumed < self.filled && self.progress
    }
}
