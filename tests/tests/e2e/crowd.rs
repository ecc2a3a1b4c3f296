//! Very many clients at once.

use std::io::{Read, Write};
use std::net::TcpStream;

use e2e::{Node, PATIENCE, note_skip};

use super::HEADWATER;

const CONNECTIONS: usize = 10_000;

/// ApiVersions, version 0, without a client's name: correlation id 7.
const QUESTION: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

/// Asks what the node can do, and takes the answer in full.
fn ask(mut socket: &TcpStream) {
    socket.write_all(&QUESTION).unwrap();
    let mut size = [0; 4];
    socket.read_exact(&mut size).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(size) as usize];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..6], [0, 0, 0, 7, 0, 0], "correlation id and error code");
}

#[test]
fn ten_thousand_connections_are_served_and_leave_room_for_others() {
    // The node keeps a third of its open files for HTTP and some for the log.
    let files = headwater_store::process::raise_open_files().unwrap_or(usize::MAX);
    if files < 2 * CONNECTIONS {
        let why = format!("a process may have {files} files open here, and this needs {}", 2 * CONNECTIONS);
        return note_skip("ten_thousand_connections", &why);
    }
    let node = Node::start(HEADWATER).unwrap();
    let address = node.kafka();
    let sockets: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| {
            let socket = TcpStream::connect(&address).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            ask(&socket);
            socket
        })
        .collect();
    // Everybody else is served meanwhile, and nobody was put out for it.
    let stream = "apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: orders}\nspec: {}\n";
    node.headwater(&["apply", "-f", "-"], stream).unwrap();
    node.headwater(&["produce", "orders"], "{\"n\": 1}\n{\"n\": 2}\n{\"n\": 3}\n").unwrap();
    assert_eq!(node.headwater(&["tail", "orders", "--from", "earliest"], "").unwrap().lines().count(), 3);
    sockets.iter().for_each(ask);
}
