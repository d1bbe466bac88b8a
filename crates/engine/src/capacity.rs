//! The number of functions that can be kept loaded, computed from the resources of the host.
//!
//! A loaded function holds its mapped code, and a slot of the pool with its memory in place, so that a call changes no
//! mapping. More than memory bounds them: the kernel bounds the number of mappings of a process, the code of each
//! function holds a descriptor, and each slot takes four gigabytes of address space. The number of slots is independent
//! of the number of calls that run at once: a call needs a slot, and a function between two calls keeps one.

use std::fmt;

/// Address space of a slot: wasmtime's reservation for a memory of 32 bits, and its guard.
pub const SLOT: u64 = (4 << 30) + (32 << 20);
/// The address space of a process on a 64-bit processor, less a quarter for everything else.
const ADDRESS_SPACE: u64 = 96 << 40;
/// Mappings of code: its header, its text, its data.
const CODE_MAPS: u64 = 3;
/// Mappings of a slot: its memory before the image, the image, its memory after it, and the inaccessible part.
const SLOT_MAPS: u64 = 4;
/// The most instances of components with functions in a component that waits: `compile::tasks` counts them.
pub(crate) const WAITING_INSTANCES: u32 = 4;
/// The most stacks of one call: one for each task that waits in the middle of its code, and one to run another.
pub(crate) const STACKS: u32 = WAITING_INSTANCES + 1;
/// Mappings of the stacks of a call, which are made at the start: the stack and its guard.
const STACK_MAPS: u64 = 2 * STACKS as u64;
/// Mappings of everything else: threads, the allocator, libraries.
const OTHER_MAPS: u64 = 2_000;
/// Slots for every four functions: on average, one of four sometimes runs two calls at once.
const SLOTS_OF_FOUR: u64 = 5;
/// The most bytes of a slot that stay resident between calls: the memory of a small primed module.
const KEPT_MOST: u64 = 2 << 20;
/// The least bytes that stay resident. A call of a small function writes a dozen pages.
const KEPT_LEAST: u64 = 64 << 10;

/// The resources that the host gives one process.
#[derive(Clone, Copy, Debug)]
pub struct HostRoom {
    /// Mappings (`vm.max_map_count`).
    pub maps: u64,
    /// File descriptors that nothing else needs.
    pub descriptors: u64,
    /// Bytes of address space (`ulimit -v`); `None` for no limit.
    pub address_space: Option<u64>,
    /// Bytes that loaded functions may hold.
    pub memory: u64,
    /// True if the kernel can report which pages a call wrote (`PAGEMAP_SCAN`). Without it, all resident bytes of a
    /// slot are written after each call, and a part of a memory cannot stay resident.
    pub scans_pages: bool,
}

/// The resource of [`HostRoom`] that allows the fewest functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Mappings.
    Maps,
    /// Descriptors.
    Descriptors,
    /// Address space.
    AddressSpace,
    /// Memory.
    Memory,
}

/// The number of functions that are kept loaded, and of the slots that hold them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Functions.
    pub functions: u32,
    /// Slots of the pool.
    pub slots: u32,
    /// The most bytes of a slot that stay resident between calls.
    pub kept: u64,
    /// The most bytes of code.
    pub code: u64,
    /// The resource that bounds the number of functions.
    pub bound: Bound,
}

impl Capacity {
    /// Computes the capacity of a server that runs `concurrency` calls at once.
    #[must_use]
    pub fn reckon(room: &HostRoom, concurrency: u32) -> Self {
        let calls = u64::from(concurrency.max(1));
        let (code, memories) = (room.memory / 2, room.memory / 2);
        let kept_least = match room.scans_pages {
            true => KEPT_LEAST,
            false => KEPT_MOST,
        };
        let functions = |slots: u64| slots.saturating_sub(calls) / SLOTS_OF_FOUR * 4;
        let address_space = room
            .address_space
            .map_or(ADDRESS_SPACE, |limit| limit.min(ADDRESS_SPACE));
        let maps = room
            .maps
            .saturating_sub(OTHER_MAPS + calls * (STACK_MAPS + SLOT_MAPS));
        let (functions, bound) = [
            (
                maps * 4 / (4 * CODE_MAPS + SLOTS_OF_FOUR * SLOT_MAPS),
                Bound::Maps,
            ),
            (room.descriptors, Bound::Descriptors),
            (functions(address_space / SLOT), Bound::AddressSpace),
            (functions(memories / kept_least), Bound::Memory),
        ]
        .into_iter()
        .min_by_key(|(functions, _)| *functions)
        .unwrap_or((0, Bound::Memory));
        let functions = functions.max(1);
        let slots = calls + (functions * SLOTS_OF_FOUR).div_ceil(4);
        Self {
            functions: u32::try_from(functions).unwrap_or(u32::MAX),
            slots: u32::try_from(slots).unwrap_or(u32::MAX),
            kept: (memories / slots).clamp(kept_least, KEPT_MOST) & !0xfff,
            code,
            bound,
        }
    }

    /// A capacity of `slots` calls, without functions that stay loaded: for tools and tests.
    #[must_use]
    pub fn of(slots: u32) -> Self {
        Self {
            functions: slots,
            slots,
            kept: KEPT_MOST,
            code: u64::MAX,
            bound: Bound::Memory,
        }
    }

    /// The smallest share of [`Capacity::code`] that one function counts as, so that the number of loaded functions
    /// stays within the capacity.
    #[must_use]
    pub fn least(&self) -> u64 {
        self.code / u64::from(self.functions.max(1))
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Maps => "memory maps",
            Self::Descriptors => "open files",
            Self::AddressSpace => "address space",
            Self::Memory => "server.loaded_memory",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: HostRoom = HostRoom {
        maps: 65_530,
        descriptors: 1 << 20,
        address_space: None,
        memory: 6 << 30,
        scans_pages: true,
    };

    #[test]
    fn the_scarcest_bounds() {
        let usual = Capacity::reckon(&ROOM, 500);
        assert_eq!(usual.bound, Bound::Maps);
        assert!((7_000..9_000).contains(&usual.functions), "{usual:?}");
        assert!(usual.slots > usual.functions + 500, "{usual:?}");

        let many = HostRoom {
            maps: 1 << 20,
            ..ROOM
        };
        assert_eq!(Capacity::reckon(&many, 500).bound, Bound::AddressSpace);
        let few = HostRoom {
            descriptors: 100,
            ..ROOM
        };
        let few = Capacity::reckon(&few, 500);
        assert_eq!((few.bound, few.functions), (Bound::Descriptors, 100));
        let small = HostRoom {
            memory: 128 << 20,
            ..ROOM
        };
        let small = Capacity::reckon(&small, 500);
        assert_eq!(small.bound, Bound::Memory);
        assert!(small.functions >= 400, "{small:?}");
    }

    #[test]
    fn what_is_kept_fits_the_memory() {
        for memory in [64 << 20, 1 << 30, 6 << 30, 64 << 30] {
            for scans_pages in [true, false] {
                let room = HostRoom {
                    memory,
                    scans_pages,
                    ..ROOM
                };
                let capacity = Capacity::reckon(&room, 12);
                let slots = u64::from(capacity.slots);
                assert!(slots * capacity.kept <= memory, "{capacity:?}");
                assert!(u64::from(capacity.functions) * capacity.least() <= capacity.code);
                assert_eq!(capacity.kept % 4096, 0);
            }
        }
    }

    #[test]
    fn a_host_with_nothing_runs_one_function() {
        let room = HostRoom {
            maps: 0,
            descriptors: 0,
            address_space: Some(0),
            memory: 0,
            scans_pages: true,
        };
        let capacity = Capacity::reckon(&room, 1);
        assert_eq!((capacity.functions, capacity.slots), (1, 3));
    }
}
