use super::*;

/// A task that was woken may take so long to run on a busy machine.
const LATE: Duration = Duration::from_millis(300);

fn taken(room: &Room) -> Vec<u32> {
    room.levels.iter().map(|level| level.all - level.free.available_permits() as u32).collect()
}

fn readers(room: &Room) -> Vec<usize> {
    room.levels.iter().map(|level| level.readers.len()).collect()
}

/// A body in chunks.
fn unstated() -> impl Body {
    http_body_util::StreamBody::new(futures_util::stream::pending::<Result<http_body::Frame<Bytes>, ()>>())
}

#[tokio::test]
async fn room_is_taken_as_a_body_grows_and_comes_back_with_the_last_of_its_bytes() {
    let room = Room::new(100 << 20);
    let mut lease = room.lease();
    for (bytes, wanted) in [(0, 0), (UNIT, 0), (UNIT + 1, 2), (UNIT, 2), (10 * UNIT, 10)] {
        assert_eq!(lease.cover(bytes).await, Ok(()));
        assert_eq!(taken(&room), [wanted], "{bytes}");
    }
    let bytes = lease.keep().tie(Bytes::from(vec![b'a'; 10 * UNIT]));
    let part = bytes.slice(1..2);
    drop(bytes);
    assert_eq!((taken(&room), &*part), (vec![10], &b"a"[..]));
    drop(part);
    assert_eq!(taken(&room), [0]);
}

#[tokio::test]
async fn a_body_takes_at_once_what_it_may_need_and_gives_back_what_it_did_not() {
    let room = Room::new(100 << 20);
    let stated = http_body_util::Full::new(Bytes::from(vec![b'a'; 7 << 20]));
    let (unstated, mib) = (unstated(), UNIT as u32 / 4096);
    for (mut lease, at_once) in [
        (room.lease_for(&unstated, 3 << 20), 3 * mib),
        (room.lease_for(&unstated, 50 << 20), 5 * mib),
        (room.lease_for(&stated, 50 << 20), 7 * mib),
        (room.lease_for(&stated, 1 << 20), mib),
    ] {
        assert_eq!(lease.cover(UNIT).await, Ok(()));
        assert_eq!(taken(&room), [0]);
        assert_eq!(lease.cover(UNIT + 1).await, Ok(()));
        assert_eq!((taken(&room), readers(&room)), (vec![at_once], vec![1]));
        assert_eq!(lease.cover(2 * UNIT + 1).await, Ok(()));
        let kept = lease.keep();
        assert_eq!((taken(&room), readers(&room)), (vec![3], vec![0]));
        drop(kept);
        assert_eq!(taken(&room), [0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_waits_for_room_for_a_while_and_is_then_refused() {
    let room = Room::new(100 << 20);
    let mut first = room.lease();
    assert_eq!(first.cover(90 << 20).await, Ok(()));
    let first = first.keep();
    let mut second = room.lease();
    assert_eq!(second.cover(20 << 20).await, Err(NoRoom::Full));
    let (waited, ()) = tokio::join!(second.cover(20 << 20), async {
        tokio::time::sleep(PATIENCE / 2).await;
        drop(first);
    });
    assert_eq!(waited, Ok(()));
    drop(second);
    assert_eq!(taken(&room), [0]);
}

#[tokio::test(start_paused = true)]
async fn the_slowest_of_those_that_come_are_given_up_for_those_that_wait() {
    let room = Room::new(100 << 20);
    let mut coming = Vec::new();
    for came in [3 * UNIT, 2 * UNIT, 400 * UNIT] {
        let mut lease = room.lease();
        assert_eq!(lease.reserve(30 << 20).await, Ok(()));
        assert_eq!(lease.cover(came).await, Ok(()));
        coming.push(lease);
    }
    let began = Instant::now();
    let one = async |lease: Lease| {
        let ended = lease.unless_given_up(tokio::time::sleep(PATIENCE * 2)).await;
        drop(lease);
        (ended, began.elapsed() < PATIENCE)
    };
    let waiting = async {
        let mut lease = room.lease();
        (lease.reserve(60 << 20).await, began.elapsed() < PATIENCE)
    };
    let [a, b, c] = <[Lease; 3]>::try_from(coming).expect("three");
    let (a, b, c, waited) = tokio::join!(one(a), one(b), one(c), waiting);
    assert_eq!(waited, (Ok(()), true));
    assert_eq!((a, b, c), ((Err(NoRoom::Slow), true), (Err(NoRoom::Slow), true), (Ok(()), false)));
    assert_eq!((taken(&room), readers(&room)), (vec![0], vec![0]));
}

#[tokio::test(start_paused = true)]
async fn nobody_else_is_given_up_while_one_who_was_is_about_to_leave() {
    for (leaves_after, both) in [(LATE, false), (PATIENCE, true)] {
        let room = Room::new(100 << 20);
        let mut coming = Vec::new();
        for came in [2 * UNIT, 3 * UNIT] {
            let mut lease = room.lease();
            assert_eq!(lease.reserve(50 << 20).await, Ok(()));
            assert_eq!(lease.cover(came).await, Ok(()));
            coming.push(lease);
        }
        let one = async |lease: Lease| {
            let ended = lease.unless_given_up(tokio::time::sleep(PATIENCE * 2)).await;
            tokio::time::sleep(leaves_after).await;
            ended
        };
        let waiting = async { room.lease().reserve(40 << 20).await };
        let [slower, slow] = <[Lease; 2]>::try_from(coming).expect("two");
        let (slower, slow, waited) = tokio::join!(one(slower), one(slow), waiting);
        assert_eq!(slower, Err(NoRoom::Slow));
        assert_eq!((slow.is_err(), waited.is_err()), (both, both), "{leaves_after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_wait_for_each_other_do_not_all_fail() {
    let room = Room::new(100 << 20);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let mut lease = room.lease();
        assert_eq!(lease.cover(5 << 20).await, Ok(()));
        all.spawn(async move { lease.cover(10 << 20).await.is_ok() });
    }
    let done = all.join_all().await.into_iter().filter(|done| *done).count();
    assert!(done >= 10, "{done} of 20");
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_has_a_part_and_a_body_beyond_all_room_has_it_alone() {
    let room = Room::new(1 << 30);
    let tunnel = room.part();
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut lease = tunnel.lease();
        assert_eq!(lease.cover(64 << 20).await, Ok(()));
        held.push(lease.keep());
    }
    assert_eq!(tunnel.lease().cover(64 << 20).await, Err(NoRoom::Full), "a quarter is taken");
    let mut other = room.part().lease();
    assert_eq!(other.cover(64 << 20).await, Ok(()));
    drop((held, other));
    let mut huge = room.lease();
    assert_eq!(huge.cover(8 << 30).await, Ok(()));
    let huge = huge.keep();
    assert_eq!(room.lease().cover(UNIT + 1).await, Err(NoRoom::Full));
    drop(huge);
    assert_eq!(taken(&tunnel), [0, 0]);
}

#[test]
fn a_process_has_room_by_its_setting_or_by_its_memory() {
    let all = |held_mb| Room::of_process(held_mb).levels[0].all;
    assert_eq!(all(300), 300 * 16);
    assert!(all(0) >= LEAST);
    assert!(memory().is_some_and(|bytes| bytes > 64 << 20), "{:?}", memory());
}
