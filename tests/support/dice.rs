//! Reproducible random numbers.

/// A random number generator (SplitMix64). The same seed gives the same numbers.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.roll() % limit as u64) as usize
    }

    /// Returns true with a probability of `chance` percent.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    pub fn bytes(&mut self, at_most: usize) -> Vec<u8> {
        let length = self.below(at_most + 1);
        (0..length).map(|_| self.roll() as u8).collect()
    }

    /// Makes a few small changes: replaces, inserts, removes, repeats or cuts off bytes.
    pub fn damage(&mut self, bytes: &mut Vec<u8>) {
        const SPECIAL: &[u8] = b"\0\t\r\n :;,\"0129aAfFxX-+HTP/.\x7f\x80\xff";
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len() + 1);
            let byte = match self.percent(70) {
                true => self.pick(SPECIAL),
                false => self.roll() as u8,
            };
            match self.below(5) {
                0 if at < bytes.len() => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 if at < bytes.len() => _ = bytes.remove(at),
                3 => {
                    let end = (at + self.below(20)).min(bytes.len());
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
                _ if self.percent(40) => bytes.truncate(at),
                _ => {}
            }
        }
    }
}
