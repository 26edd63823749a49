//! A quick hash that tells damage and difference; it does not withstand anybody who wants two things to look alike.

const K: u64 = 0x9e37_79b9_7f4a_7c15;

/// Each step is a bijection of the lane for a given word, so that no change of a single word goes unseen.
fn step(lane: u64, word: u64) -> u64 {
    (lane ^ word).wrapping_mul(K).rotate_left(29)
}

fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// The hash of the bytes.
#[must_use]
pub fn of(bytes: &[u8]) -> u64 {
    let mut lanes = [K, !K, K.rotate_left(17), K ^ bytes.len() as u64];
    let (words, rest) = bytes.as_chunks();
    let (quads, single) = words.as_chunks::<4>();
    for quad in quads {
        for (lane, word) in lanes.iter_mut().zip(quad) {
            *lane = step(*lane, u64::from_le_bytes(*word));
        }
    }
    let single = single.iter().map(|word| u64::from_le_bytes(*word));
    let last = (!rest.is_empty()).then(|| word(rest));
    for (lane, word) in lanes.iter_mut().zip(single.chain(last)) {
        *lane = step(*lane, word);
    }
    let all = lanes.into_iter().fold(0, step);
    all ^ all >> 32
}

/// The hash of words.
#[must_use]
pub fn of_words(words: &[u64]) -> u64 {
    let all = words.iter().fold(K, |all, &word| step(all, word));
    all ^ all >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_and_the_length_count() {
        let bytes: Vec<u8> = (0..100).collect();
        for len in 0..bytes.len() {
            let whole = of(&bytes[..len]);
            assert_ne!(whole, of(&bytes[..len + 1]));
            for at in 0..len {
                let mut changed = bytes[..len].to_vec();
                changed[at] ^= 1 << (at % 8);
                assert_ne!(whole, of(&changed), "byte {at} of {len}");
            }
        }
    }
}
