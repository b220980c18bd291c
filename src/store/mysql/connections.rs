//! Connections to one server, each set up the same way, at most so many at once. The driver's own pool is not used:
//! there, a connection that no longer answers keeps its place until TCP gives up, and the one for heartbeats has but
//! one place. Here a connection is kept only after it has answered; one whose future was dropped, or that did not
//! answer in time, is closed with it, and the server rolls back what was open.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use mysql_async::{Conn, Error as Driver, Opts, Row, Value, prelude::Queryable};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::failure;
use crate::error::{Error, Result, Service};

/// Name look-up, TCP, TLS and login together.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long a caller waits for others to be through with theirs.
const QUEUE_LIMIT: Duration = Duration::from_secs(60);

/// Of one packet of a file for LOAD DATA; the server reads on across packets.
const PACKET_BYTES: usize = 64 << 10;

const ROLLBACK_LIMIT: Duration = Duration::from_secs(5);

pub struct Connections {
    options: Opts,
    place: String,
    places: Arc<Semaphore>,
    most: usize,
    /// An idle connection is used again only for so long: after that the server may have ended it.
    rest: Duration,
    idle: Mutex<Vec<(Conn, Instant)>>,
}

impl Connections {
    pub fn new(options: Opts, place: String, most: usize, rest: Duration) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(most));
        Arc::new(Self { options, place, places, most, rest, idle: Mutex::default() })
    }

    /// A connection of one's own, made if none is idle.
    pub async fn take(self: &Arc<Self>) -> Result<Held> {
        let Ok(place) = timeout(QUEUE_LIMIT, self.places.clone().acquire_owned()).await else {
            let doing = format!("waiting for one of {} connections to {}", self.most, self.place);
            let next = "raise [store.mysql] connections, or lower [worker] slots";
            return Err(Error::unavailable(Service::Store, doing).next(next));
        };
        let place = place.map_err(|closed| Error::fatal("store_failed", "waiting for a connection").because(closed))?;
        let idle = self.idle_connection();
        let fresh = idle.is_none();
        let conn = match idle {
            Some(conn) => conn,
            None => connect(self.options.clone(), &self.place).await?,
        };
        Ok(Held { conn: Some(conn), fresh, in_transaction: false, home: self.clone(), place: Some(place) })
    }

    fn idle_connection(&self) -> Option<Conn> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < self.rest);
        idle.pop().map(|(conn, _)| conn)
    }

    /// Whoever comes next connects by name.
    fn forget(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn give_back(&self, conn: Conn) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((conn, Instant::now()));
    }
}

pub async fn connect(options: Opts, place: &str) -> Result<Conn> {
    let conn = timeout(CONNECT_LIMIT, Conn::new(options)).await;
    conn.unwrap_or_else(|_| Err(failure::no_answer(CONNECT_LIMIT)))
        .map_err(|error| failure::explain_connecting(error, place))
}

/// A connection while it is used. Dropped, an open transaction is rolled back and the connection kept for others.
pub struct Held {
    /// None once it is lost.
    conn: Option<Conn>,
    /// It was made for this holder: if it is gone, the server is.
    pub fresh: bool,
    in_transaction: bool,
    home: Arc<Connections>,
    place: Option<OwnedSemaphorePermit>,
}

impl Held {
    pub async fn begin(&mut self, limit: Duration) -> Result<(), Driver> {
        self.run(Statement::Text("START TRANSACTION"), limit).await?;
        self.in_transaction = true;
        Ok(())
    }

    pub async fn commit(&mut self, limit: Duration) -> Result<(), Driver> {
        self.run(Statement::Text("COMMIT"), limit).await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Runs one statement. Whatever is not an answer of the server within `limit` loses the connection, and so does the
    /// answer of a server that is not the one to write to any more.
    pub async fn run(&mut self, statement: Statement<'_>, limit: Duration) -> Result<Reply, Driver> {
        let mut conn = self.conn.take().ok_or(mysql_async::DriverError::ConnectionClosed)?;
        let reply = timeout(limit, ask(&mut conn, statement)).await;
        let reply = reply.unwrap_or_else(|_| Err(failure::no_answer(limit)));
        match &reply {
            Err(Driver::Server(words)) if failure::is_to_leave(words) => self.home.forget(),
            Ok(_) | Err(Driver::Server(_)) => self.conn = Some(conn),
            Err(_) => {}
        }
        reply
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(mut conn) = self.conn.take() else { return };
        if !self.in_transaction {
            return self.home.give_back(conn);
        }
        let (home, place) = (self.home.clone(), self.place.take());
        // Without a runtime the process is ending: the connection closes and the server rolls back.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Ok(Ok(())) = timeout(ROLLBACK_LIMIT, conn.query_drop("ROLLBACK")).await {
                    home.give_back(conn);
                }
                drop(place);
            });
        }
    }
}

pub enum Statement<'a> {
    /// With `?` for each parameter.
    Prepared(&'a str, Vec<Value>),
    Text(&'a str),
    /// LOAD DATA LOCAL: what the server is given as the file, and whether it asked for it.
    Load(&'a str, Bytes, Arc<AtomicBool>),
}

#[derive(Debug)]
pub struct Reply {
    pub rows: Vec<Row>,
    /// Rows changed, as MySQL counts them: a row that is there and gets other values is two.
    pub affected: u64,
    /// "Records: 2  Deleted: 0  Skipped: 1  Warnings: 1"
    pub info: String,
    /// At most 65,535.
    pub warnings: u16,
}

pub async fn ask(conn: &mut Conn, statement: Statement<'_>) -> Result<Reply, Driver> {
    let rows = match statement {
        Statement::Prepared(sql, parameters) => conn.exec(sql, parameters).await?,
        Statement::Text(sql) => conn.query(sql).await?,
        Statement::Load(sql, data, asked) => {
            conn.set_infile_handler(infile(data, asked));
            let loaded = conn.query(sql).await;
            if loaded.is_err() {
                // A handler that was not asked would stay, with all its data.
                conn.set_infile_handler(infile(Bytes::new(), Arc::default()));
            }
            loaded?
        }
    };
    Ok(Reply { rows, affected: conn.affected_rows(), info: conn.info().into_owned(), warnings: conn.get_warnings() })
}

/// The stream never gives an error: the driver would end the file there, and the server take it for whole.
async fn infile(mut file: Bytes, asked: Arc<AtomicBool>) -> mysql_async::Result<mysql_async::InfileData> {
    asked.store(true, Ordering::Relaxed);
    let packets = std::iter::from_fn(move || {
        let packet = file.split_to(file.len().min(PACKET_BYTES));
        (!packet.is_empty()).then_some(Ok(packet))
    });
    Ok(stream::iter(packets).boxed())
}
