//! The transactions of one call: stores and loads of values in the form of 2020.
//!
//! A value is a stream of integers under a key of 32 bytes. A guest begins a store, passes integers one by one, and
//! ends it; a store that was not ended, because the guest trapped or ran out of time, has no effect. A load reads the
//! whole value at its beginning, so all its integers belong to one value. A key is looked up in the function's own name
//! space: the key of another function finds nothing, while in 2020 it found that function's values.
//!
//! Facts about the original: second-state/WasmEdge-storage, and the guest crate `rust_storage_interface_library`.
//! Reading a key without a value, or past the end of a value, ended the call there too.

use super::storage::{FunctionValues, Key};
use crate::limits::{LimitExceeded, Limits};
use bytes::{Buf as _, Bytes};
use iof_fault::{Fault, FaultKind};

/// The transactions of one call.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    storing: Option<(Key, Vec<u8>)>,
    loading: Option<Bytes>,
    /// The answer that the guest has not read yet ([`super::values`]).
    unread: Option<Bytes>,
    /// The number of accesses so far.
    begun: u32,
}

impl Transactions {
    /// Counts an access to the storage, if the function was granted storage.
    ///
    /// # Errors
    /// `storage-not-granted`, `storage-transactions`
    pub(crate) fn begin(&mut self, granted: bool, limits: &Limits) -> Result<(), Fault> {
        self.begin_many(granted, 1, limits)
    }

    /// Counts several accesses.
    ///
    /// # Errors
    /// The errors of [`begin`](Self::begin).
    pub(crate) fn begin_many(
        &mut self,
        granted: bool,
        count: u32,
        limits: &Limits,
    ) -> Result<(), Fault> {
        if !granted {
            return Err(Fault::new(
                FaultKind::StorageNotGranted,
                "The function was not granted storage. Add `storage = true` to its function.toml.",
            ));
        }
        self.begun = self.begun.saturating_add(count);
        if self.begun > limits.storage_transactions {
            return Err(LimitExceeded::StorageTransactions.fault(limits));
        }
        Ok(())
    }

    pub(crate) fn begin_store(&mut self, key: Key) {
        self.storing = Some((key, Vec::new()));
    }

    /// Adds an integer to the value that is being stored.
    ///
    /// # Errors
    /// `storage-order`, `storage-value`
    pub(crate) fn store(&mut self, integer: &[u8], limits: &Limits) -> Result<(), Fault> {
        let Some((_, value)) = &mut self.storing else {
            return Err(out_of_order("stored an integer before it began a store"));
        };
        if (value.len() + integer.len()) as u64 > limits.storage_value.as_u64() {
            return Err(LimitExceeded::StorageValue.fault(limits));
        }
        value.extend_from_slice(integer);
        Ok(())
    }

    /// Ends the store in progress, and stores its value.
    ///
    /// # Errors
    /// `storage-order`, and the errors of [`FunctionValues::save`].
    pub(crate) async fn end_store(&mut self, values: FunctionValues<'_>) -> Result<(), Fault> {
        let Some((key, value)) = self.storing.take() else {
            return Err(out_of_order("ended a store that it had not begun"));
        };
        values.save((key, None), value.into()).await
    }

    /// Reads a value, whose integers the guest then loads.
    ///
    /// # Errors
    /// `storage-missing`, and the errors of [`FunctionValues::load`].
    pub(crate) async fn begin_load(
        &mut self,
        key: Key,
        values: FunctionValues<'_>,
    ) -> Result<(), Fault> {
        let value = values.load(&key).await?.ok_or_else(|| {
            let key: String = String::from_utf8_lossy(&key).escape_debug().collect();
            Fault::new(
                FaultKind::StorageMissing,
                format!("The function loaded `{key}`, under which it has stored nothing."),
            )
        })?;
        self.loading = Some(value);
        Ok(())
    }

    /// The next integer of the value that is being loaded.
    ///
    /// # Errors
    /// `storage-order`
    pub(crate) fn load<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let Some(value) = &mut self.loading else {
            return Err(out_of_order("loaded an integer before it began a load"));
        };
        let Some(bytes) = value.first_chunk::<N>().copied() else {
            return Err(out_of_order("loaded more than it had stored"));
        };
        value.advance(N);
        Ok(bytes)
    }

    pub(crate) fn end_load(&mut self) {
        self.loading = None;
    }

    /// Keeps an answer until the guest reads it; replaces the previous one.
    pub(crate) fn answer(&mut self, answer: Option<Bytes>) {
        self.unread = answer;
    }

    /// Takes the answer that the guest reads.
    ///
    /// # Errors
    /// `storage-order`
    pub(crate) fn read(&mut self) -> Result<Bytes, Fault> {
        let unread = self.unread.take();
        unread.ok_or_else(|| out_of_order("read a value before it got one"))
    }
}

fn out_of_order(what: &str) -> Fault {
    Fault::new(FaultKind::StorageOrder, format!("The function {what}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::storage::KEY;
    use crate::fuzzing::Shelf;
    use bytesize::ByteSize;

    const A_KEY: Key = [b'k'; KEY];

    fn limits() -> Limits {
        Limits {
            storage_transactions: 2,
            storage_value: ByteSize::b(12),
            ..Limits::default()
        }
    }

    fn code<T: std::fmt::Debug>(done: Result<T, Fault>) -> String {
        done.unwrap_err().code().to_owned()
    }

    #[test]
    fn accesses_are_granted_and_counted() {
        let (mut transactions, limits) = (Transactions::default(), limits());
        let refused = transactions.begin(false, &limits);
        assert_eq!(code(refused), "storage-not-granted");
        transactions.begin(true, &limits).unwrap();
        transactions.begin(true, &limits).unwrap();
        let refused = transactions.begin(true, &limits);
        assert_eq!(code(refused), "storage-transactions");
    }

    #[tokio::test]
    async fn a_value_is_stored_when_its_store_ends() {
        let (shelf, limits) = (Shelf::default(), limits());
        let values = || FunctionValues {
            store: &shelf,
            function: 1,
            limits: &limits,
            tape: None,
            trace: None,
        };
        let mut transactions = Transactions::default();
        assert_eq!(code(transactions.store(&[1], &limits)), "storage-order");
        assert_eq!(
            code(transactions.end_store(values()).await),
            "storage-order"
        );
        transactions.begin_store(A_KEY);
        transactions.store(&7i32.to_le_bytes(), &limits).unwrap();
        transactions.store(&(-8i64).to_le_bytes(), &limits).unwrap();
        let refused = transactions.store(&[1], &limits);
        assert_eq!(code(refused), "storage-value");
        let missing = transactions.begin_load(A_KEY, values()).await;
        assert_eq!(code(missing), "storage-missing");
        transactions.end_store(values()).await.unwrap();

        assert_eq!(code(transactions.load::<4>()), "storage-order");
        transactions.begin_load(A_KEY, values()).await.unwrap();
        assert_eq!(transactions.load().map(i32::from_le_bytes).unwrap(), 7);
        assert_eq!(transactions.load().map(i64::from_le_bytes).unwrap(), -8);
        assert_eq!(code(transactions.load::<4>()), "storage-order");
        transactions.end_load();
        assert_eq!(code(transactions.load::<4>()), "storage-order");
    }

    #[test]
    fn an_answer_is_read_once() {
        let mut transactions = Transactions::default();
        transactions.answer(Some(Bytes::from_static(b"a")));
        assert_eq!(transactions.read().unwrap(), "a");
        assert_eq!(code(transactions.read()), "storage-order");
    }
}
