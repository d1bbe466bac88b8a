//! Random bytes: the system's, or those of a tape.

use crate::tape::HostCallTape;
use rand::{Rng as _, TryRng};
use std::convert::Infallible;
use uuid::Uuid;

/// Fills `bytes` with random bytes.
pub(crate) fn fill(tape: Option<&HostCallTape>, bytes: &mut [u8]) {
    match tape {
        Some(tape) => tape.random(bytes, draw),
        None => draw(bytes),
    }
}

/// A new UUID of version 4.
pub(crate) fn uuid(tape: Option<&HostCallTape>) -> Uuid {
    match tape {
        None => Uuid::new_v4(),
        Some(tape) => {
            let mut random = [0; 16];
            tape.random(&mut random, draw);
            uuid::Builder::from_random_bytes(random).into_uuid()
        }
    }
}

fn draw(bytes: &mut [u8]) {
    rand::rng().fill_bytes(bytes);
}

/// The generator of a call with a tape.
pub(crate) struct TapeRng(pub(crate) HostCallTape);

impl TryRng for TapeRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.random(&mut bytes, draw);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.random(&mut bytes, draw);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.random(bytes, draw);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::HostResponses;

    #[test]
    fn a_tape_draws_the_same_bytes_again() {
        let tape = HostCallTape::recorder(1000);
        let (mut bytes, mut again) = ([0; 9], [0; 9]);
        fill(Some(&tape), &mut bytes);
        let id = uuid(Some(&tape));
        let player = HostCallTape::player(tape.responses().unwrap());
        fill(Some(&player), &mut again);
        assert_eq!((bytes, id), (again, uuid(Some(&player))));
        assert_eq!(id.get_version_num(), 4);
        let ended = HostCallTape::player(HostResponses::default());
        assert_ne!(uuid(Some(&ended)), uuid(Some(&ended)));
        assert_ne!(uuid(None), uuid(None));
    }
}
