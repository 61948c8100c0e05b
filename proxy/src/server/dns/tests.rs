use std::str::FromStr;

use hickory_resolver::proto::rr::{Name, RecordType};

use super::*;

fn question(name: &str) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_str(name).unwrap(), RecordType::A));
    message.to_vec().unwrap()
}

#[test]
fn a_question_is_refused_with_its_id_and_name() {
    let asked = question("secret.evil.example.");
    let (answer, question) = refuse(&asked).unwrap();
    let answer = Message::from_vec(&answer).unwrap();
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
    assert_eq!(answer.metadata.id.to_be_bytes(), asked[..2]);
    assert!(answer.answers.is_empty() && answer.metadata.recursion_desired);
    assert_eq!(question.unwrap().name().to_ascii(), "secret.evil.example.");
}

#[test]
fn an_answer_and_rubbish_are_not_answered() {
    let (answer, _) = refuse(&question("a.example.")).unwrap();
    assert_eq!(refuse(&answer), None);
    for rubbish in [&b""[..], b"\x00", b"\x00\x01\x00", b"\x00\x01\x00\x00\x00\x01\x00"] {
        assert_eq!(refuse(rubbish), None, "{rubbish:?}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_without_a_name() {
    let mut cut = question("a.example.");
    cut.truncate(16);
    let (answer, asked) = refuse(&cut).unwrap();
    assert_eq!(Message::from_vec(&answer).unwrap().metadata.response_code, ResponseCode::Refused);
    assert!(asked.is_none());
    // A compression pointer to itself.
    let mut looped = question("a.example.");
    looped.truncate(12);
    looped.extend([0xc0, 0x0c, 0, 1, 0, 1]);
    assert!(refuse(&looped).is_some());
}

#[tokio::test]
async fn another_pair_of_ports_is_tried_only_where_any_port_will_do() {
    // One in a hundred of the ports that the system hands out.
    let mut taken = Vec::new();
    for _ in 0..300 {
        taken.push(TcpListener::bind("127.0.0.9:0").await.unwrap());
    }
    for _ in 0..400 {
        let server = DnsRefuser::bind("127.0.0.9:0".parse().unwrap()).await.unwrap();
        assert_eq!(server.local_addr().unwrap(), server.tcp.local_addr().unwrap());
    }
    let error = DnsRefuser::bind(taken[0].local_addr().unwrap()).await.err().map(|error| error.kind());
    assert_eq!(error, Some(io::ErrorKind::AddrInUse));
}

async fn with_server(test: impl AsyncFnOnce(SocketAddr)) {
    let server = DnsRefuser::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = server.local_addr().unwrap();
    let config = Arc::new(crate::config::Config::defaults());
    let around = crate::policy::Surroundings::default();
    let (policy, _) =
        crate::policy::Policy::compile(Arc::clone(&config), "defaults".to_owned(), &around).unwrap();
    let shared = Shared::new(
        Arc::new(policy),
        crate::events::Events::discard(),
        crate::upstream::Upstream::from_environment(),
        Arc::new(crate::server::KillSwitch::new(&config, None)),
        None,
    );
    let served = tokio::spawn(server.serve(Arc::clone(&shared)));
    test(address).await;
    shared.stop.begin();
    served.await.unwrap();
}

#[tokio::test]
async fn udp_and_tcp_are_both_refused() {
    with_server(async |address| {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(b"rubbish", address).await.unwrap();
        socket.send_to(&question("x.example."), address).await.unwrap();
        let mut buffer = [0; 512];
        let (length, _) = timeout(PATIENCE, socket.recv_from(&mut buffer)).await.unwrap().unwrap();
        assert_eq!(
            Message::from_vec(&buffer[..length]).unwrap().metadata.response_code,
            ResponseCode::Refused
        );

        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..2 {
            let asked = question("y.example.");
            stream.write_u16(asked.len() as u16).await.unwrap();
            stream.write_all(&asked).await.unwrap();
            let length = usize::from(stream.read_u16().await.unwrap());
            let mut answer = vec![0; length];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(Message::from_vec(&answer).unwrap().metadata.response_code, ResponseCode::Refused);
        }
        stream.write_u16(u16::MAX).await.unwrap();
        assert!(stream.read_u16().await.is_err(), "an oversized question ends the connection");
    })
    .await;
}
