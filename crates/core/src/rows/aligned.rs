use std::ops::{Deref, DerefMut};

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

/// Values that begin with a cache line, so that vectors of a padded row never lie across two.
///
/// Where the allocator would have put them decides otherwise: a walk there and back over unaligned rows takes half as long
/// again.
#[derive(Debug, Default)]
pub struct Aligned<T> {
    values: Vec<T>,
    start: usize,
    length: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// `length` values of zero.
    pub fn zeros(length: usize) -> Self {
        let values = vec![T::default(); length + LINE / size_of::<T>()];
        // A pointer to a type whose size divides a line reaches one within its length; elsewhere any start is right.
        let start = values.as_ptr().align_offset(LINE).min(LINE / size_of::<T>());
        Self { values, start, length }
    }
}

impl<T: Copy + Default> Clone for Aligned<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.length);
        copy.copy_from_slice(self);
        copy
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[self.start..][..self.length]
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[self.start..][..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_begin_with_a_cache_line_and_so_do_copies() {
        for length in [0, 1, 15, 16, 1000] {
            let mut values = Aligned::<f32>::zeros(length);
            for (k, value) in values.iter_mut().enumerate() {
                *value = k as f32;
            }
            let copy = values.clone();
            assert_eq!(values[..], copy[..]);
            assert_eq!(copy.len(), length);
            for values in [&values, &copy] {
                assert_eq!(values.as_ptr() as usize % LINE, 0);
            }
        }
    }
}
