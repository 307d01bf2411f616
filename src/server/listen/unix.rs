//! Unix sockets: the file that names one is made with its mode, taken over if it is stale, and removed by the process that
//! made it.

use std::fs::{self, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mio::net::UnixListener;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::LISTEN_BACKLOG;

/// The file of a socket that is listened on. Dropping it removes the file, unless another one has its place by now.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Device and inode. While the socket is open, no other file can have them.
type Identity = (u64, u64);

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(&fs::symlink_metadata(path)?),
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = |metadata: Metadata| identity(&metadata) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
            // Where it cannot be removed it is stale, which the next server finds out.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// Binds and listens at a path.
pub(super) fn bind(path: &Path, mode: u32) -> io::Result<(SocketFile, UnixListener)> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile::of(path)?;
    // Before it listens nobody can connect, whatever the mode is until now.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    socket.listen(LISTEN_BACKLOG.into())?;
    Ok((file, UnixListener::from_std(socket.into())))
}

/// Removes the file of a socket on which nobody listens any more. Two servers that start in the same instant can
/// take each other for that; the one that comes later has the path then.
fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        // Where it is not just missing, the bind says what is wrong.
        return Ok(());
    };
    if !metadata.file_type().is_socket() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    match probe(path) {
        Ok(()) => Err(ErrorKind::AddrInUse.into()),
        Err(error) => match error.kind() {
            ErrorKind::ConnectionRefused => fs::remove_file(path),
            // Its backlog is full.
            ErrorKind::WouldBlock => Err(ErrorKind::AddrInUse.into()),
            ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        },
    }
}

/// Connects, without waiting for a place in the backlog.
fn probe(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}
