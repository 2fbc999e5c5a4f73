//! What a worker's VM takes: the linear memories of all VMs, and Envoy's resident memory with one and with two workers, once
//! each of them has really worked. An idle worker's memory says nothing, since it is touched as it is used.

use std::path::Path;
use std::time::Duration;

use crate::envoy::{Envoy, Shape};
use crate::load::{Ask, drive};

/// How often the load begins anew, on new connections, until every worker has its part.
const ATTEMPTS_MAX: u32 = 20;

/// A worker that had less than this part of its fair share was not driven.
const SHARE_LEAST: f64 = 0.1;

/// What was found with so many workers.
#[derive(Clone, Debug)]
pub struct Found {
    /// Bytes of the VMs' linear memories, smallest first; that of the main thread, which judges nothing, is one of them.
    pub vms: Vec<u64>,
    pub resident: u64,
    pub first_answer: Duration,
}

/// The memory of one configuration.
#[derive(Clone, Debug)]
pub struct Memory {
    pub name: &'static str,
    /// With one worker, and with two.
    pub found: [Found; 2],
}

impl Memory {
    /// The largest VM's linear memory, in bytes.
    pub fn largest(&self) -> u64 {
        let all = self.found.iter().flat_map(|found| &found.vms);
        all.copied().max().unwrap_or_default()
    }

    /// How many bytes of resident memory the second worker made it, VM and all else.
    pub fn second_worker(&self) -> i64 {
        let [one, two] = self.found.each_ref().map(|found| found.resident.cast_signed());
        two - one
    }
}

/// Starts `shape` with one and with two workers, drives all of them, and looks.
pub fn measure(
    name: &'static str,
    shape: &Shape,
    ask: &Ask,
    start: impl Fn(&str, &Shape) -> Result<Envoy, String>,
    place: (&str, &Path),
) -> Result<Memory, String> {
    let with = |workers: u32| {
        let shape = Shape {
            workers,
            ..shape.clone()
        };
        let envoy = start(&format!("{name}-memory-{workers}"), &shape)?;
        ask.check_patiently(name, &envoy)?;
        drive_every_worker(name, workers, &envoy, ask, place)?;
        Ok::<_, String>(Found {
            vms: envoy.vm_memories()?,
            resident: envoy.resident()?,
            first_answer: envoy.first_answer,
        })
    };
    Ok(Memory {
        name,
        found: [with(1)?, with(2)?],
    })
}

/// Drives until each worker has had a part of the load that counts.
fn drive_every_worker(
    name: &str,
    workers: u32,
    envoy: &Envoy,
    ask: &Ask,
    (core, run): (&str, &Path),
) -> Result<(), String> {
    let before = envoy.workers_cpu()?;
    if before.len() != workers as usize {
        return Err(format!("{name}: {} workers, not {workers}", before.len()));
    }
    for _ in 0..ATTEMPTS_MAX {
        drive(ask, 0, envoy, 1.0, core, run)?;
        let spent = envoy.workers_cpu()?.into_iter().zip(&before);
        let spent: Vec<f64> = spent
            .map(|(after, before)| after.saturating_sub(*before).as_secs_f64())
            .collect();
        if all_had_a_part(&spent) {
            return Ok(());
        }
    }
    Err(format!("{name}: the load never reached all of {workers} workers"))
}

fn all_had_a_part(spent: &[f64]) -> bool {
    let fair = spent.iter().sum::<f64>() / spent.len().max(1) as f64;
    spent.iter().all(|one| *one > 0.0 && *one >= fair * SHARE_LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_without_its_part_was_not_driven() {
        for (spent, all) in [
            (&[1.0][..], true),
            (&[0.0], false),
            (&[1.0, 0.5], true),
            (&[1.0, 0.06], true),
            (&[1.0, 0.05], false),
            (&[1.0, 0.0], false),
        ] {
            assert_eq!(all_had_a_part(spent), all, "{spent:?}");
        }
    }

    #[test]
    fn the_largest_of_all_vms_counts_and_a_second_worker_is_the_difference() {
        let found = |vms: &[u64], resident| Found {
            vms: vms.to_vec(),
            resident,
            first_answer: Duration::ZERO,
        };
        let memory = Memory {
            name: "all",
            found: [found(&[1, 7], 100), found(&[1, 2, 6], 90)],
        };
        assert_eq!((memory.largest(), memory.second_worker()), (7, -10));
    }
}
