//! A file of saved code on its way out: written from front to back, each table as it is made, so that no more of it is in memory
//! than a chunk. The sums, and the header with theirs, are known last and stand first.

use super::format::{self, CHUNK, Counts, Key, PAGE};
use super::hash;
use super::image::Image;
use crate::host::files::OwnedFile;

/// What has been written so far, and how that went.
pub struct Output<'a> {
    file: &'a OwnedFile,
    /// What is not written yet of the tables, and the sums of all chunks before.
    chunk: Vec<u8>,
    sums: Vec<u64>,
    is_good: bool,
    /// How long the tables are so far.
    len: usize,
}

impl<'a> Output<'a> {
    /// Starts with the code; `None` where that is damaged, or cannot be written.
    pub fn with_code(
        file: &'a OwnedFile,
        counts: &Counts,
        image: Option<&Image>,
        code: &[u8],
    ) -> Option<Self> {
        let padding = vec![0; counts.code_pages() - counts.code];
        let sums = code_sums(image, code, &padding)?;
        let place_of_sums = vec![0; 8 * counts.sums()];
        let parts = [&[0; PAGE], code, &padding, &place_of_sums];
        let is_good = parts.into_iter().all(|part| file.write_all(part));
        is_good.then(|| Self { file, chunk: Vec::with_capacity(2 * CHUNK), sums, is_good, len: 0 })
    }

    /// Adds to the table at hand what `add` appends, which is short.
    #[inline]
    pub fn put(&mut self, add: impl FnOnce(&mut Vec<u8>)) {
        let before = self.chunk.len();
        add(&mut self.chunk);
        self.len += self.chunk.len() - before;
        if self.chunk.len() >= CHUNK {
            self.end_chunk();
        }
    }

    /// Adds bytes to it.
    pub fn bytes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK));
            self.put(|out| out.extend_from_slice(now));
            bytes = later;
        }
    }

    /// Adds numbers to it.
    pub fn numbers(&mut self, numbers: &[u32]) {
        for some in numbers.chunks(CHUNK / 4) {
            self.put(|out| format::put32(out, some));
        }
    }

    /// Ends a table: the next one is aligned.
    pub fn end_table(&mut self) {
        let padding = self.len.next_multiple_of(8) - self.len;
        self.bytes(&[0; 8][..padding]);
    }

    fn end_chunk(&mut self) {
        let len = self.chunk.len().min(CHUNK);
        self.sums.push(hash::of(&self.chunk[..len]));
        self.is_good = self.is_good && self.file.write_all(&self.chunk[..len]);
        self.chunk.drain(..len);
    }

    /// Writes what is left: the tables' end, what stands behind them, and what is known only now. Whether all was written.
    pub fn finish(mut self, key: &Key, counts: &Counts, hints: &[u8]) -> bool {
        if !self.chunk.is_empty() {
            self.end_chunk();
        }
        debug_assert_eq!((self.len, self.sums.len()), (counts.tables().len, counts.sums()));
        let mut sums = Vec::with_capacity(8 * self.sums.len());
        format::put64(&mut sums, self.sums);
        let header = format::header(key, counts, hash::of(&sums));
        self.is_good
            && self.file.write_all(hints)
            && self.file.write_at(counts.sums_at() as u64, &sums)
            && self.file.write_at(0, &header)
    }
}

/// The sums of the code. Those of what was in the image are the image's: were it damaged, that would be found still.
fn code_sums(image: Option<&Image>, code: &[u8], padding: &[u8]) -> Option<Vec<u64>> {
    let old = image.map_or(0, |image| image.counts.code_pages());
    let padded = code.len() + padding.len();
    let sum = |at: usize| {
        let end = (at + CHUNK).min(padded);
        let image = image.filter(|_| at < old);
        if let Some(image) = image.filter(|_| at + CHUNK <= old) {
            return image.sum(at / CHUNK);
        }
        if let Some(image) = image {
            image.code(at, old - at)?;
        }
        Some(match code.get(at..end) {
            Some(chunk) => hash::of(chunk),
            None => hash::of(&[&code[at.min(code.len())..], padding].concat()[..end - at]),
        })
    };
    (0..padded).step_by(CHUNK).map(sum).collect()
}
