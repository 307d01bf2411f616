//! The rival: the chat as one would write it on tokio and tokio-tungstenite with fan-out in mind. One thread; a hub that joins
//! what was published since it last ran and hands the same bytes to every client's task; each task gathers what waits and flushes once.

use std::io;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};

use super::server::announce;

/// Messages that may wait for the hub; as many are joined at most.
const PUBLISHED_MAX: usize = 1024;
/// Batches that a client may lag behind before it is dropped.
const BATCHES_MAX: usize = 256;
/// Allocated for every connection at once, so small: a client here sends little.
const READ_BUFFER: usize = 4 * 1024;

/// Serves on a port of its own choice until it is killed.
pub(crate) fn run() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(serve())
}

async fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?)?;
    let (publisher, published) = mpsc::channel(PUBLISHED_MAX);
    let (batches, _) = broadcast::channel(BATCHES_MAX);
    tokio::spawn(hub(published, batches.clone()));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(client(stream, publisher.clone(), batches.clone()));
    }
}

async fn hub(mut published: mpsc::Receiver<Utf8Bytes>, batches: broadcast::Sender<Utf8Bytes>) {
    let mut turn = Vec::with_capacity(PUBLISHED_MAX);
    while published.recv_many(&mut turn, PUBLISHED_MAX).await > 0 {
        let batch = match turn.as_slice() {
            [only] => only.clone(),
            many => join(many),
        };
        turn.clear();
        // Nobody listens when the last client has just been closed.
        let _ = batches.send(batch);
    }
}

fn join(messages: &[Utf8Bytes]) -> Utf8Bytes {
    let len = messages.iter().map(|message| message.len() + 1).sum();
    let mut batch = String::with_capacity(len);
    for message in messages {
        batch.push_str(message);
        batch.push('\n');
    }
    batch.pop();
    batch.into()
}

/// Ends when the connection does, or when the client lags too far behind.
async fn client(
    stream: TcpStream,
    publisher: mpsc::Sender<Utf8Bytes>,
    batches: broadcast::Sender<Utf8Bytes>,
) {
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
    let Ok(mut socket) = accept_async_with_config(stream, Some(config)).await else {
        return;
    };
    let mut waiting = batches.subscribe();
    drop(batches);
    loop {
        let next = tokio::select! {
            message = socket.next() => pass_on(message, &publisher, &mut socket).await,
            batch = waiting.recv() => deliver(batch, &mut waiting, &mut socket).await,
        };
        if next.is_none() {
            return;
        }
    }
}

/// Passes what came on to the hub; `None` if no more can come.
async fn pass_on(
    message: Option<tungstenite::Result<Message>>,
    publisher: &mpsc::Sender<Utf8Bytes>,
    socket: &mut WebSocketStream<TcpStream>,
) -> Option<()> {
    match message?.ok()? {
        Message::Text(text) => publisher.send(text).await.ok(),
        Message::Close(_) => {
            // The answer is queued already and only has to be written; if it is not taken, the client is gone.
            let _ = socket.flush().await;
            None
        }
        _ => Some(()),
    }
}

/// Sends `batch` and all others that wait, and flushes once; `None` if the client lags too far behind or is gone.
async fn deliver(
    batch: Result<Utf8Bytes, RecvError>,
    waiting: &mut broadcast::Receiver<Utf8Bytes>,
    socket: &mut WebSocketStream<TcpStream>,
) -> Option<()> {
    let mut text = batch.ok()?;
    loop {
        socket.feed(Message::Text(text)).await.ok()?;
        match waiting.try_recv() {
            Ok(next) => text = next,
            Err(TryRecvError::Empty) => return socket.flush().await.ok(),
            Err(TryRecvError::Closed | TryRecvError::Lagged(_)) => return None,
        }
    }
}
