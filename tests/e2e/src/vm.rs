//! The memories of the VMs in a running Envoy, as the kernel's map of its address space shows them: what Envoy itself
//! does not tell. Read by the scenarios on floods and by the bench.

use crate::Outcome;

/// V8 reserves at least as much behind the memory of each VM, so that no access needs a check of its bounds.
const RESERVED_LEAST: u64 = 4 << 30;

/// The sizes in bytes of the linear memories of a process's VMs, smallest first: one VM for each worker, and that of the main
/// thread, which judges nothing. None in an Envoy without a module.
pub fn memories(pid: u32) -> Outcome<Vec<u64>> {
    let path = format!("/proc/{pid}/maps");
    let maps = std::fs::read_to_string(&path).map_err(|error| format!("can't read {path}: {error}"))?;
    Ok(in_maps(&maps))
}

/// What is writable in front of each great reservation.
fn in_maps(maps: &str) -> Vec<u64> {
    let regions = maps.lines().filter_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (from, to) = range.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some((number(from)?, number(to)?, rest.get(..4)?))
    });
    let regions: Vec<_> = regions.collect();
    let mut sizes: Vec<u64> = regions
        .windows(2)
        .filter_map(|pair| {
            let [(from, to, "rw-p"), (next, end, "---p")] = *pair else {
                return None;
            };
            (to == next && end - next >= RESERVED_LEAST).then_some(to - from)
        })
        .collect();
    sizes.sort_unstable();
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_is_what_is_writable_in_front_of_a_great_reservation() {
        let two = "\
10000000-10200000 rw-p 00000000 00:00 0
10200000-20f000000 ---p 00000000 00:00 0
300000000-300100000 rw-p 00000000 00:00 0
300100000-500000000 ---p 00000000 00:00 0
";
        assert_eq!(in_maps(two), [1 << 20, 2 << 20]);
        for (none, why) in [
            ("", "no map"),
            (
                "10000000-10200000 rw-p 0\n10200000-10300000 ---p 0\n",
                "a guard page's size",
            ),
            ("10000000-10200000 rw-p 0\n10300000-20f000000 ---p 0\n", "a gap between"),
            ("10000000-10200000 r-xp 0\n10200000-20f000000 ---p 0\n", "code"),
        ] {
            assert!(in_maps(none).is_empty(), "{why}");
        }
    }
}
