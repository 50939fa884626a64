//! Transfers whose content is compared: whatever arrives must be what was sent.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{SndBuf, UdpGsoSegment};

use crate::netns::Netns;

const PATIENCE: Duration = Duration::from_secs(10);
const PORT: u16 = 8080;
const ATTEMPTS: u32 = 3;

/// Bytes without a period that a lost or doubled segment could hide in.
pub fn pattern(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Sends `length` bytes from `client` to `address` in `server` and as many back; both are compared.
pub fn tcp_both_ways(
    client: &Netns,
    server: &Netns,
    address: impl Into<IpAddr>,
    length: usize,
) -> Result<()> {
    let write = |stream: &mut TcpStream, request: &[u8]| stream.write_all(request);
    tcp(client, server, address.into(), length, write)
}

/// As [`tcp_both_ways`], with writes of one segment and of several by turns, each of which is sent at
/// once, and never much on its way.
pub fn tcp_uneven(
    client: &Netns,
    server: &Netns,
    address: impl Into<IpAddr>,
    length: usize,
) -> Result<()> {
    const ONE: usize = 700;
    const SEVERAL: usize = 5000;
    const WINDOW: usize = 64 << 10;
    tcp(client, server, address.into(), length, |stream, request| {
        stream.set_nodelay(true)?;
        setsockopt(stream, SndBuf, &WINDOW)?;
        for both in request.chunks(ONE + SEVERAL) {
            let (one, several) = both.split_at(ONE.min(both.len()));
            stream.write_all(one)?;
            stream.write_all(several)?;
        }
        Ok(())
    })
}

fn tcp(
    client: &Netns,
    server: &Netns,
    address: IpAddr,
    length: usize,
    write: impl FnOnce(&mut TcpStream, &[u8]) -> io::Result<()>,
) -> Result<()> {
    let target = SocketAddr::new(address, PORT);
    let (request, response) = (pattern(length, 1), pattern(length, 2));
    let listener = server
        .enter(|| TcpListener::bind(target))?
        .context("listener")?;
    let answering = std::thread::spawn({
        let response = response.clone();
        move || answer(&listener, &response)
    });
    let mut stream = client
        .enter(|| TcpStream::connect_timeout(&target, PATIENCE))?
        .context("connect")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write(&mut stream, &request).context("the client's request")?;
    stream.shutdown(Shutdown::Write)?;
    let mut arrived = Vec::new();
    stream
        .read_to_end(&mut arrived)
        .context("the server's response")?;
    let received = answering
        .join()
        .map_err(|_| anyhow!("the server panicked"))??;
    same("client to server", &request, &received)?;
    same("server to client", &response, &arrived)
}

fn answer(listener: &TcpListener, response: &[u8]) -> Result<Vec<u8>> {
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut received = Vec::new();
    stream
        .read_to_end(&mut received)
        .context("the server's side")?;
    stream.write_all(response)?;
    Ok(received)
}

/// Sends one datagram of each of `sizes` and has it echoed; every one must come back unchanged.
pub fn udp_echo(
    client: &Netns,
    server: &Netns,
    address: impl Into<IpAddr>,
    sizes: impl IntoIterator<Item = usize>,
) -> Result<()> {
    let target = SocketAddr::new(address.into(), PORT);
    let any: SocketAddr = match target {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0u16; 8], 0).into(),
    };
    let echo = server.enter(|| UdpSocket::bind(target))?.context("echo")?;
    let socket = client.enter(|| UdpSocket::bind(any))?.context("client")?;
    echo.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut buffer = vec![0; 65536];
    for size in sizes {
        let sent = pattern(size, u32::try_from(size)?);
        // The first one may be lost to an unresolved neighbour.
        let mut echoed = || -> Result<Vec<u8>> {
            socket.send_to(&sent, target)?;
            let (length, from) = echo.recv_from(&mut buffer).context("not received")?;
            same("request", &sent, &buffer[..length])?;
            echo.send_to(&sent, from)?;
            let length = socket.recv(&mut buffer).context("no echo")?;
            Ok(buffer[..length].to_vec())
        };
        let arrived = (1..ATTEMPTS)
            .find_map(|_| echoed().ok())
            .map_or_else(&mut echoed, Ok)
            .with_context(|| format!("datagram of {size} bytes"))?;
        same("echo", &sent, &arrived)?;
    }
    Ok(())
}

/// Sends super-packets of datagrams (`UDP_SEGMENT`, as QUIC does): each datagram must arrive by
/// itself and unchanged.
pub fn udp_segments(
    client: &Netns,
    server: &Netns,
    address: impl Into<IpAddr>,
    size: u16,
) -> Result<()> {
    const DATAGRAMS: usize = 10;
    let target = SocketAddr::new(address.into(), PORT);
    let receiver = server
        .enter(|| UdpSocket::bind(target))?
        .context("receiver")?;
    let sender = client
        .enter(|| UdpSocket::bind("0.0.0.0:0"))?
        .context("sender")?;
    receiver.set_read_timeout(Some(PATIENCE))?;
    setsockopt(&sender, UdpGsoSegment, &i32::from(size))?;
    let mut buffer = vec![0; 65536];
    for round in 1..=20 {
        let sent = pattern(usize::from(size) * DATAGRAMS, round);
        sender.send_to(&sent, target)?;
        for (index, datagram) in sent.chunks(usize::from(size)).enumerate() {
            let length = receiver
                .recv(&mut buffer)
                .with_context(|| format!("datagram {index} of super-packet {round}"))?;
            same("datagram", datagram, &buffer[..length])?;
        }
    }
    Ok(())
}

fn same(what: &str, sent: &[u8], received: &[u8]) -> Result<()> {
    let differs = sent.iter().zip(received).position(|(a, b)| a != b);
    ensure!(
        differs.is_none() && sent.len() == received.len(),
        "{what}: {} bytes sent, {} received, first difference at {differs:?}",
        sent.len(),
        received.len()
    );
    Ok(())
}
