//! A route to the addresses of a platform, which lead to programs of this machine: a proxy that takes `CONNECT` and passes on
//! what it gets as it is. Who asks sees the certificate of the program, under the address of the platform.

use std::collections::BTreeMap;
use std::io::{Write as _, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context as _, Result};

use crate::proxy::target_of;

/// A route that is there until it is dropped.
pub struct Route {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
}

impl Route {
    /// Starts a route from these addresses, each with its port, to programs of this machine, and to no others.
    pub fn start(programs: &[(&str, SocketAddr)]) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listen on loopback")?;
        let (address, is_over) = (listener.local_addr()?, Arc::new(AtomicBool::new(false)));
        let programs = programs.iter().map(|(address, program)| ((*address).to_owned(), *program)).collect();
        let (programs, is_gone) = (Arc::new(programs), Arc::clone(&is_over));
        thread::spawn(move || {
            for stream in listener.incoming().take_while(|_| !is_gone.load(Ordering::Acquire)) {
                let programs = Arc::clone(&programs);
                // Either side may hang up in the middle.
                thread::spawn(move || pass_on(stream?, &programs));
            }
        });
        Ok(Self { address, is_over })
    }

    /// Returns the address that `HTTPS_PROXY` takes.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        // Wakes the thread that accepts; whether it is reached does not matter at the end.
        let _ = TcpStream::connect(self.address);
    }
}

fn pass_on(mut client: TcpStream, programs: &BTreeMap<String, SocketAddr>) -> Result<()> {
    let Some(program) = programs.get(&target_of(&client)?) else {
        return Ok(client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")?);
    };
    let mut program = TcpStream::connect(program)?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut answers, mut asked) = (program.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let _ = copy(&mut answers, &mut asked);
        let _ = asked.shutdown(Shutdown::Write);
    });
    copy(&mut client, &mut program)?;
    Ok(program.shutdown(Shutdown::Write)?)
}
