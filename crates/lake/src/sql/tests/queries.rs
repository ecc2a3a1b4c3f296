//! Statements that run, listed and ended by others.

use std::time::{Duration, Instant};

use headwater_base::{Limits, Principal};
use headwater_kernel::port::Sql as _;
use headwater_kernel::port::sql::{Question, RunningQuery, Via};
use tokio::sync::watch;
use tokio_postgres::NoTls;

use super::House;
use crate::sql::postgres::serve;

const ENDLESS: &str = "SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";

/// The only statement that runs, as soon as it does.
async fn listed(house: &House) -> RunningQuery {
    let begun = Instant::now();
    loop {
        if let [one] = house.engine.queries(&Principal::default()).as_slice() {
            return one.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "a statement is listed");
        tokio::task::yield_now().await;
    }
}

async fn none(house: &House) {
    let begun = Instant::now();
    while !house.engine.queries(&Principal::default()).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is not listed any more");
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_query_is_listed_and_ended_by_whoever_may() {
    let house = House::new(Limits::default());
    let (asha, bert) = (Principal::new("asha").unwrap(), Principal::new("bert").unwrap());
    let question =
        Question { text: ENDLESS.to_owned(), principal: asha.clone(), via: Via::Chart, ..Question::default() };
    house.runtime.block_on(async {
        let asked = async { house.engine.ask(question).await.map(drop).unwrap_err() };
        let ended = async {
            let one = listed(&house).await;
            assert_eq!((&one.principal, one.via, one.text.as_str(), one.rows), (&asha, Via::Chart, ENDLESS, 0));
            assert_eq!(house.engine.queries(&asha).len(), 1);
            assert_eq!(house.engine.queries(&bert).len(), 0);
            assert_eq!(house.engine.cancel(one.id, &bert).unwrap_err().code, "HW-LAKE-073");
            house.engine.cancel(one.id, &Principal::default()).unwrap();
        };
        let (problem, ()) = tokio::join!(asked, ended);
        assert_eq!((problem.code.as_str(), problem.title.contains("`admin`")), ("HW-LAKE-072", true), "{problem}");
        none(&house).await;
    });
    assert_eq!(house.rows("SELECT 1"), serde_json::json!([[1]]));
}

/// By the key of its backend, as drivers do it, and by others.
#[test]
fn a_query_of_postgres_is_ended_by_its_client_and_by_others() {
    let house = House::new(Limits::default());
    let (stop, stopped) = watch::channel(false);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let served = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = tokio::spawn(serve(listener, house.engine.clone(), stopped));
        let place = format!("host=127.0.0.1 port={port} user=asha dbname=headwater");
        let (client, connection) = tokio_postgres::connect(&place, NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let token = client.cancel_token();
        let by_key = async {
            let one = listed(&house).await;
            assert_eq!((one.via, one.principal.as_str()), (Via::Postgres, "asha"));
            token.cancel_query(NoTls).await.unwrap();
        };
        let (answer, ()) = tokio::join!(client.simple_query(ENDLESS), by_key);
        let error = answer.err().unwrap();
        let told = error.as_db_error().unwrap();
        assert_eq!((told.code().code(), told.message()), ("57014", "the query was cancelled by its own client"));
        none(&house).await;
        // In the extended protocol, and by somebody else.
        let by_number = async {
            let one = listed(&house).await;
            house.engine.cancel(one.id, &Principal::new("asha").unwrap()).unwrap();
        };
        let (answer, ()) = tokio::join!(client.query(ENDLESS, &[]), by_number);
        let error = answer.err().unwrap();
        assert_eq!(error.as_db_error().unwrap().message(), "the query was cancelled by `asha`");
        assert_eq!(client.query_one("SELECT 1 AS one", &[]).await.unwrap().get::<_, i64>(0), 1);
        drop(client);
        connection.await.unwrap().unwrap();
        served
    });
    stop.send(true).unwrap();
    runtime.block_on(served).unwrap();
}
