//! Connections, plain or with TLS. Over a plain one, the kernel sends the content from memory that it shares, and drops
//! an upload without a copy. So the store leaves the CPU to the contenders.

use std::io;
use std::os::fd::OwnedFd;

use bytes::BytesMut;
use rustix::fs::sendfile;
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::pattern::Pattern;

/// The number of bytes at the start of each piece of an upload that are compared with the pattern.
pub(super) const SAMPLE: usize = 16;

pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The content of all objects.
pub(super) struct Content {
    pub(super) pattern: Pattern,
    memory: OwnedFd,
}

impl Content {
    pub(super) fn new() -> io::Result<Self> {
        let pattern = Pattern::new();
        Ok(Self {
            memory: pattern.to_memfd()?,
            pattern,
        })
    }
}

impl Wire {
    /// Reads at least one byte, or returns 0 if the client has closed the connection.
    pub(super) async fn read(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read_buf(into).await,
            Self::Tls(stream) => stream.read_buf(into).await,
        }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// Sends a piece of an object.
    pub(super) async fn send(&mut self, content: &Content, mut position: u64, length: u64) -> io::Result<()> {
        let end = position + length;
        while position < end {
            let piece = content.pattern.piece(position, end - position);
            match self {
                Self::Plain(stream) => {
                    let offset = position % super::pattern::PERIOD as u64;
                    let sent = stream.async_io(Interest::WRITABLE, || {
                        Ok(sendfile(
                            &*stream,
                            &content.memory,
                            Some(&mut offset.clone()),
                            piece.len(),
                        )?)
                    });
                    position += sent.await? as u64;
                }
                Self::Tls(_) => {
                    self.write(&piece).await?;
                    position += piece.len() as u64;
                }
            }
        }
        Ok(())
    }

    /// Receives up to `max` bytes and drops all but the first. Returns their number and the start.
    pub(super) async fn receive(&mut self, max: usize, buffer: &mut [u8]) -> io::Result<(usize, [u8; SAMPLE])> {
        let mut sample = [0; SAMPLE];
        let (start, max) = (sample.len().min(max), max.min(buffer.len()));
        let received = match self {
            Self::Plain(stream) => {
                stream.read_exact(&mut sample[..start]).await?;
                let rest = &mut buffer[..max - start];
                if rest.is_empty() {
                    return Ok((start, sample));
                }
                let dropped = stream.try_io(Interest::READABLE, || {
                    Ok(recv(&*stream, &mut *rest, RecvFlags::TRUNC | RecvFlags::DONTWAIT)?.1)
                });
                match dropped {
                    Ok(dropped) => start + dropped,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => start,
                    Err(error) => return Err(error),
                }
            }
            Self::Tls(stream) => {
                let received = stream.read(&mut buffer[..max]).await?;
                if received == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                let start = received.min(start);
                sample[..start].copy_from_slice(&buffer[..start]);
                received
            }
        };
        Ok((received, sample))
    }
}
