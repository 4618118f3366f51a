//! A connection that does not wait for ever: who asks half a question is let go.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::{Instant, Sleep, sleep};

/// How long a connection may be without a byte in either direction. Longer than any answer takes, because an asker
/// that waits for its answer is silent too.
const IDLE: Duration = Duration::from_secs(30);

/// Until when a connection may be silent, where it was announced that an answer takes long.
pub(crate) type LongSilence = Arc<OnceLock<Instant>>;

/// A connection with a limit on its silence.
pub(crate) struct Connection {
    stream: UnixStream,
    silence: Pin<Box<Sleep>>,
    longer: LongSilence,
}

impl Connection {
    pub(crate) fn new(stream: UnixStream, longer: LongSilence) -> Self {
        Self { stream, silence: Box::pin(sleep(IDLE)), longer }
    }

    /// What came of a read or a write: a result ends the silence, and too long a silence the connection.
    fn unless_silent<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.silence.as_mut().reset(Instant::now() + IDLE);
            return done;
        }
        loop {
            ready!(self.silence.as_mut().poll(cx));
            match self.longer.get() {
                Some(until) if *until > Instant::now() => self.silence.as_mut().reset(*until),
                _ => break,
            }
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.unless_silent(cx, done)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.unless_silent(cx, done)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.unless_silent(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncRead;

    /// Reads up to 16 bytes.
    async fn read(connection: &mut Connection) -> io::Result<Vec<u8>> {
        let mut bytes = [0; 16];
        let mut buf = ReadBuf::new(&mut bytes);
        std::future::poll_fn(|cx| Pin::new(&mut *connection).poll_read(cx, &mut buf)).await?;
        Ok(buf.filled().to_vec())
    }

    #[test]
    fn a_byte_ends_the_silence_and_too_long_a_silence_the_connection() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (client, server) = UnixStream::pair().unwrap();
            let mut connection = Connection::new(server, LongSilence::default());
            for _ in 0..3 {
                sleep(IDLE.mul_f32(0.9)).await;
                client.try_write(b"GET").unwrap();
                assert_eq!(read(&mut connection).await.unwrap(), b"GET");
            }
            assert_eq!(read(&mut connection).await.unwrap_err().kind(), io::ErrorKind::TimedOut);

            // An answer that was announced may come later.
            let (_client, server) = UnixStream::pair().unwrap();
            let longer = LongSilence::default();
            let mut connection = Connection::new(server, LongSilence::clone(&longer));
            let (began, announced) = (Instant::now(), IDLE * 2);
            longer.set(began + announced).unwrap();
            assert_eq!(read(&mut connection).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert!(began.elapsed() >= announced);
        });
    }
}
