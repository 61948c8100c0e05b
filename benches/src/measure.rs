//! Time as the thread spent it: other programs on the machine do not count.

use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

fn thread_time() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Median processor time of one call, in seconds: of calls for about `budget`, at least three. Short calls are measured
/// by the hundred, because reading the clock takes time as well.
pub fn median_seconds(budget: Duration, mut call: impl FnMut()) -> f64 {
    call();
    let begin = thread_time();
    call();
    let batch = if thread_time() - begin < 20e-6 { 100 } else { 1 };
    let start = thread_time();
    let mut times = Vec::new();
    while times.len() < 3 || thread_time() - start < budget.as_secs_f64() {
        let begin = thread_time();
        for _ in 0..batch {
            call();
        }
        times.push((thread_time() - begin) / f64::from(batch));
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Speed of a search of 64 KiB of hot memory for an absent byte, in MB/s: what this machine's memory allows.
pub fn hot_memchr() -> f64 {
    let hot = vec![b'a'; 1 << 16];
    let seconds = median_seconds(Duration::from_millis(100), || {
        black_box(memchr::memchr(b'b', black_box(&hot)));
    });
    hot.len() as f64 / seconds / 1e6
}
