//! Counts allocations while it is asked to, and costs one relaxed load a call otherwise: crates that count do so always,
//! which would add to the CPU time of whoever allocates most.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[global_allocator]
static ALLOCATOR: Counting = Counting;
static ASKED: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);

struct Counting;

impl Counting {
    fn count() {
        if ASKED.load(Ordering::Relaxed) {
            COUNT.fetch_add(1, Ordering::Relaxed);
        }
    }
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        Self::count();
        unsafe { System.realloc(ptr, layout, new_size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// How often memory was asked for (or more of it) until the future was ready.
pub(crate) async fn during<T>(future: impl Future<Output = T>) -> (u64, T) {
    let before = COUNT.load(Ordering::Relaxed);
    ASKED.store(true, Ordering::Relaxed);
    let output = future.await;
    ASKED.store(false, Ordering::Relaxed);
    (COUNT.load(Ordering::Relaxed) - before, output)
}
