//! stdout and stderr of WASI 0.3: streams into the call's log or a program's result, within the limit of each.

use crate::capability::log::{LogRecorder, Stream};
use crate::state::CallState;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    FutureReader, Linker, Source, StreamConsumer, StreamReader, StreamResult,
};
use wasmtime_wasi::p3::bindings::cli::types::ErrorCode;

pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    for (interface, stream) in [
        (version_0_3!("wasi:cli/stdout"), Stream::Stdout),
        (version_0_3!("wasi:cli/stderr"), Stream::Stderr),
    ] {
        linker.instance(interface)?.func_wrap(
            "write-via-stream",
            move |mut store: StoreContextMut<'_, CallState>, (data,): (StreamReader<u8>,)| {
                let (ended, end) = oneshot::channel::<()>();
                let print = Print {
                    recorder: store.data_mut().wasi.recorder(),
                    stream,
                    _ended: ended,
                };
                data.pipe(&mut store, print)?;
                let printed = async {
                    // The sender is dropped with the stream.
                    let _ = end.await;
                    wasmtime::error::Ok(Ok::<(), ErrorCode>(()))
                };
                Ok((FutureReader::new(&mut store, printed)?,))
            },
        )?;
    }
    Ok(())
}

/// The host's end of a stream that is printed.
struct Print {
    recorder: LogRecorder,
    stream: Stream,
    _ended: oneshot::Sender<()>,
}

impl<D> StreamConsumer<D> for Print {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        let count = bytes.len();
        // A limit ends the guest, as it does in 0.2.
        self.recorder.write(self.stream, bytes)?;
        source.mark_read(count);
        Poll::Ready(Ok(StreamResult::Completed))
    }
}
