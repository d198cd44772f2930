//! The buffers between the connection and ureq, small at first: most responses to a check fit in the
//! first page.

use ureq::unversioned::transport::Buffers;

const FIRST_INPUT: usize = 4 << 10;
/// What of a request's body is on its way at a time.
const BODY_PART: usize = 4 << 10;

/// Bytes of the peer that nobody has understood yet.
#[derive(Debug, Default)]
pub(super) struct Received {
    bytes: Vec<u8>,
    used: usize,
    filled: usize,
}

impl Received {
    /// What is there.
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.used..self.filled]
    }

    /// Takes so many off.
    pub fn consume(&mut self, length: usize) {
        self.used += length;
    }

    /// Room for more. How much may wait here is for the caller to limit.
    pub fn space(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.used..self.filled, 0);
        self.filled -= self.used;
        self.used = 0;
        if self.filled == self.bytes.len() {
            let size = (self.bytes.len() * 2).max(FIRST_INPUT);
            self.bytes.resize(size, 0);
        }
        &mut self.bytes[self.filled..]
    }

    /// So many bytes were put into the space.
    pub fn fill(&mut self, length: usize) {
        self.filled += length;
    }
}

/// What ureq writes its request to, and reads its response from.
#[derive(Debug)]
pub(super) struct UreqBuffers {
    /// What ureq is to read.
    pub input: Vec<u8>,
    consumed: usize,
    output: Vec<u8>,
    output_size: usize,
    body_part: Vec<u8>,
    /// Whether the last look at the input took something of it; if not, it waits for more.
    progress: bool,
}

impl UreqBuffers {
    /// With room for a request whose head is so long: ureq writes no line in two parts.
    pub fn new(output_size: usize) -> UreqBuffers {
        UreqBuffers {
            input: Vec::new(),
            consumed: 0,
            output: Vec::new(),
            output_size,
            body_part: Vec::new(),
            progress: false,
        }
    }

    /// Makes room for more input.
    pub fn compact(&mut self) {
        self.input.drain(..self.consumed);
        self.consumed = 0;
    }
}

impl Buffers for UreqBuffers {
    fn output(&mut self) -> &mut [u8] {
        self.output.resize(self.output_size, 0);
        &mut self.output
    }

    fn input(&self) -> &[u8] {
        &self.input[self.consumed..]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        &mut [] // Only the connection adds input.
    }

    fn input_appended(&mut self, _amount: usize) {}

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.consumed += amount;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.output.resize(self.output_size, 0);
        self.body_part.resize(BODY_PART, 0);
        (&mut self.body_part, &mut self.output)
    }

    fn can_use_input(&self) -> bool {
        self.consumed < self.input.len() && self.progress
    }
}
