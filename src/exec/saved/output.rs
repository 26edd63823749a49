//! A file of saved code on its way out: written from front to back, each table as it is made, so that no more of it is in memory
//! than some chunks. The sums, and the header with theirs, are known last and stand first.

use super::format::{self, CHUNK, Counts, Key, PAGE};
use super::hash;
use super::image::Image;
use crate::host::files::OwnedFile;

/// How much is written at once: a larger piece takes the kernel less.
const BATCH: usize = 8 * CHUNK;

/// What has been written so far, and how that went.
pub struct Output<'a> {
    file: &'a OwnedFile,
    /// What is not written yet, from the start of a page; how much of that is in sums, or needs none; and the sums.
    batch: Vec<u8>,
    summed: usize,
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
        let is_good = [&[0; PAGE], code, &padding].into_iter().all(|part| file.write_all(part));
        let summed = 8 * counts.sums();
        let mut batch = Vec::with_capacity(counts.tables().len.min(BATCH) + summed + CHUNK);
        batch.resize(summed, 0);
        is_good.then_some(Self { file, batch, summed, sums, is_good, len: 0 })
    }

    /// Adds to the table at hand what `add` appends, which is short.
    #[inline]
    pub fn put(&mut self, add: impl FnOnce(&mut Vec<u8>)) {
        let before = self.batch.len();
        add(&mut self.batch);
        self.len += self.batch.len() - before;
        if self.batch.len() - self.summed >= CHUNK {
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
        let end = self.batch.len().min(self.summed + CHUNK);
        self.sums.push(hash::of(&self.batch[self.summed..end]));
        self.summed = end;
        if end >= BATCH {
            let pages = end - end % PAGE;
            self.is_good = self.is_good && self.file.write_all(&self.batch[..pages]);
            self.batch.drain(..pages);
            self.summed -= pages;
        }
    }

    /// Writes what is left: the tables' end, what stands behind them, and what is known only now. Whether all was written.
    pub fn finish(mut self, key: &Key, counts: &Counts, hints: &[u8]) -> bool {
        if self.summed < self.batch.len() {
            self.end_chunk();
        }
        debug_assert_eq!((self.len, self.sums.len()), (counts.tables().len, counts.sums()));
        let mut sums = Vec::with_capacity(8 * self.sums.len());
        format::put64(&mut sums, self.sums);
        let header = format::header(key, counts, hash::of(&sums));
        self.batch.extend_from_slice(hints);
        self.is_good
            && self.file.write_all(&self.batch)
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
