//! Round trips of one byte: on a connection that stays, and with a connection each.
//!
//! Both sides wait for each other, so both CPUs are kept awake: what is to be seen is the way, not
//! how long the machine below takes to wake a CPU.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use nix::sys::socket::{setsockopt, sockopt};

use crate::bed::Bed;
use crate::case::{Figure, Meter, Pace};
use crate::machine::{self, Awake};
use crate::station::{Kind, Station};

const PORT: u16 = 9001;
const PATIENCE: Duration = Duration::from_secs(5);

/// Counts thousands of round trips a second on one connection.
pub(crate) fn ping_pong(bed: &Bed, ports: Kind, pace: Pace) -> Result<Figure> {
    let (from, to) = (bed.station(ports, 1)?, bed.station(ports, 2)?);
    let (mut client, mut server) = connect(from, to)?;
    let _awake = Awake::keep();
    let meter = Meter::default();
    let reading = thread::scope(|scope| {
        let answering = scope.spawn(|| -> Result<()> {
            machine::pin(machine::RECEIVER)?;
            let mut byte = [0];
            // The client's end is the end.
            while server.read(&mut byte)? == 1 {
                server.write_all(&byte)?;
            }
            Ok(())
        });
        let meter = &meter;
        let asking = scope.spawn(move || -> Result<()> {
            machine::pin(machine::SENDER)?;
            let mut byte = [0];
            while !meter.is_over() {
                client.write_all(&byte)?;
                client.read_exact(&mut byte)?;
                meter.count(1);
            }
            Ok(())
        });
        let reading = meter.watch(pace, || {});
        asking
            .join()
            .map_err(|_| anyhow!("the client panicked"))?
            .context("the client")?;
        answering
            .join()
            .map_err(|_| anyhow!("the server panicked"))?
            .context("the server")?;
        reading
    })?;
    Ok(Figure {
        value: reading.rate / 1e3,
        usage: reading.usage,
        extras: Vec::new(),
    })
}

/// Counts thousands of connections a second: three-way handshake, request, response, reset. (A
/// reset leaves no TIME_WAIT behind, of which there would be more than there are ports.)
pub(crate) fn connections(bed: &Bed, ports: Kind, pace: Pace) -> Result<Figure> {
    let (from, to) = (bed.station(ports, 1)?, bed.station(ports, 2)?);
    let target = SocketAddr::from((to.address.v4, PORT));
    let listener = to
        .netns
        .enter(|| TcpListener::bind(target))?
        .context("listener")?;
    let _awake = Awake::keep();
    let meter = Meter::default();
    let reading = thread::scope(|scope| {
        let answering = scope.spawn(|| serve(&listener, &meter));
        let asking = scope.spawn(|| from.netns.enter(|| ask(target, &meter))?);
        let reading = meter.watch(pace, || {});
        let asked = asking.join().map_err(|_| anyhow!("the client panicked"))?;
        // Wakes the server up, which waits for one more connection.
        from.netns
            .enter(|| TcpStream::connect_timeout(&target, PATIENCE))?
            .ok();
        answering
            .join()
            .map_err(|_| anyhow!("the server panicked"))?
            .context("the server")?;
        asked.context("the client")?;
        reading
    })?;
    Ok(Figure {
        value: reading.rate / 1e3,
        usage: reading.usage,
        extras: Vec::new(),
    })
}

fn serve(listener: &TcpListener, meter: &Meter) -> Result<()> {
    machine::pin(machine::RECEIVER)?;
    let mut byte = [0];
    loop {
        let (mut stream, _) = listener.accept()?;
        if meter.is_over() {
            return Ok(());
        }
        stream.set_nodelay(true)?;
        stream.read_exact(&mut byte)?;
        stream.write_all(&byte)?;
        // Nothing follows but the client's reset.
        stream.read_exact(&mut byte).ok();
    }
}

fn ask(target: SocketAddr, meter: &Meter) -> Result<()> {
    machine::pin(machine::SENDER)?;
    let mut byte = [0];
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    while !meter.is_over() {
        let mut asked = || -> std::io::Result<()> {
            let mut stream = TcpStream::connect(target)?;
            stream.set_nodelay(true)?;
            setsockopt(&stream.as_fd(), sockopt::Linger, &at_once)?;
            stream.write_all(&byte)?;
            stream.read_exact(&mut byte)
        };
        match asked() {
            Ok(()) => meter.count(1),
            // The server goes when the time is over, in the middle of a connection too.
            Err(_) if meter.is_over() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Connects the one station to the other; the client's end is the first.
pub(crate) fn connect(from: &Station, to: &Station) -> Result<(TcpStream, TcpStream)> {
    let target = SocketAddr::from((to.address.v4, PORT));
    let listener = to
        .netns
        .enter(|| TcpListener::bind(target))?
        .context("listener")?;
    let client = from
        .netns
        .enter(|| TcpStream::connect_timeout(&target, PATIENCE))?
        .context("connect")?;
    let (server, _) = listener.accept()?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
    }
    Ok((client, server))
}
