//! Buffers that are used again.
//!
//! A scan makes several copies and mask tables of its text. Fresh memory for each would cost more than filling it: the
//! kernel hands out pages one fault at a time. So every thread keeps a few buffers of each kind. They hold remains of the
//! last texts, as freed memory would.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Buffers that a thread keeps of each kind: as many as one scan has at a time.
const KEPT: usize = 16;
/// Larger ones are freed, bytes: what one very large text needed is not kept forever.
const MAX_KEPT_BYTES: usize = 4 << 20;

/// What buffers are made of.
pub trait Element: Sized {
    /// Does something with the thread's buffers; `None` where it ends.
    fn with_pool<R>(work: impl FnOnce(&RefCell<Vec<Vec<Self>>>) -> R) -> Option<R>;
}

macro_rules! pooled {
    ($type:ty) => {
        impl $crate::scratch::Element for $type {
            fn with_pool<R>(work: impl FnOnce(&std::cell::RefCell<Vec<Vec<Self>>>) -> R) -> Option<R> {
                thread_local!(static POOL: std::cell::RefCell<Vec<Vec<$type>>> = const { std::cell::RefCell::new(Vec::new()) });
                POOL.try_with(work).ok()
            }
        }
    };
}
pub(crate) use pooled;

pooled!(u8);
pooled!(u64);

/// An empty buffer out of the thread's; it goes back when it is dropped.
#[derive(Debug)]
pub struct Buffer<T: Element>(Vec<T>);

impl<T: Element> Buffer<T> {
    /// One of the thread's, or a new one.
    pub fn new() -> Buffer<T> {
        let kept = T::with_pool(|pool| pool.try_borrow_mut().ok().and_then(|mut pool| pool.pop()));
        Buffer(kept.flatten().unwrap_or_default())
    }

    /// One that holds nothing and is not the thread's, to leave in another's place.
    pub(crate) fn empty() -> Buffer<T> {
        Buffer(Vec::new())
    }
}

impl<T: Element> Default for Buffer<T> {
    fn default() -> Buffer<T> {
        Buffer::new()
    }
}

impl<T: Element> Deref for Buffer<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T: Element> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}

impl<T: Element> Drop for Buffer<T> {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        let bytes = buffer.capacity() * size_of::<T>();
        if bytes == 0 || bytes > MAX_KEPT_BYTES {
            return;
        }
        buffer.clear();
        T::with_pool(|pool| {
            let Ok(mut pool) = pool.try_borrow_mut() else { return };
            if pool.len() < KEPT {
                pool.push(buffer);
            } else if let Some(smallest) = pool.iter_mut().min_by_key(|kept| kept.capacity())
                && smallest.capacity() < buffer.capacity()
            {
                // Or each scan would have to enlarge another one.
                *smallest = buffer;
            }
        });
    }
}
