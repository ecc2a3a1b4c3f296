use headwater_base::Limits;
use headwater_log::groups::Groups;
use tokio::net::TcpListener;

use super::super::Settings;
use super::*;

#[tokio::test]
async fn a_large_frame_has_no_more_memory_than_it_needs() {
    let ((log, clock), limits) = (headwater_testkit::memory_log(), Arc::new(Limits::default()));
    let groups = Groups::open(log.clone(), clock.clone(), limits.clone());
    let service = Arc::new(KafkaService::new(log, groups, limits, clock, Settings::local(1)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut sender = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (reader, _writer) = listener.accept().await.unwrap().0.into_split();
    let mut frames = Frames { reader, buffer: BytesMut::new(), room: None, service };
    // Large ones that memory which doubles would hold twice, between others.
    let sizes = [17_000, 1_100_000, 40, 2_200_000, 9_000_000, 20];
    let send = async {
        for bytes in sizes {
            sender.write_all(&(bytes as i32).to_be_bytes()).await.unwrap();
            sender.write_all(&vec![7; bytes]).await.unwrap();
        }
    };
    let receive = async {
        for bytes in sizes {
            let mut frame = frames.next().await.unwrap().unwrap().bytes;
            assert!(frame.len() == bytes && frame.iter().all(|byte| *byte == 7));
            assert!(bytes < 1_000_000 || !frame.try_reclaim(1), "{} bytes for {bytes}", frame.capacity());
        }
    };
    tokio::join!(send, receive);
}
