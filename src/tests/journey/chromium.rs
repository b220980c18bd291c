//! A Chromium of one test's own, driven as a person would: over WebDriver, and over its own protocol where WebDriver
//! has no word for it (dropping files, a phone's screen, a slow line).

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use fantoccini::{Client, ClientBuilder, Locator, elements::Element, error::CmdError, wd::WebDriverCompatibleCommand};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::{Method, Url};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use crate::world::service;

/// For a page on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Chromium {
    pub page: Client,
    /// Its profile; its processes carry the name.
    profile: TempDir,
    driver: tokio::process::Child,
}

impl Chromium {
    pub async fn start() -> Self {
        let profile = tempfile::Builder::new().prefix("userdata-chromium-").tempdir().unwrap();
        let mut driver = Command::new(service("USERDATA_TEST_CHROMEDRIVER"))
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = said.next_line().await.unwrap().expect("chromedriver ended before it told its port");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        // A pipe that nobody reads would stop it in the end.
        tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        let folder = format!("--user-data-dir={}", profile.path().display());
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--lang=en-GB", "--hide-scrollbars", &folder];
        let wanted = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(wanted) = wanted else { unreachable!("an object was written above") };
        let page = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a session of Chromium");
        Self { page, profile, driver }
    }

    /// Ends it in good order. (A test that fails before that ends it by dropping it.)
    pub async fn close(mut self) {
        self.page.clone().close().await.unwrap();
        self.driver.kill().await.unwrap();
    }

    /// A command of the DevTools protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) {
        let body = json!({ "cmd": command, "params": parameters }).to_string();
        self.page.issue_cmd(Raw { path: "goog/cdp/execute", body }).await.unwrap();
    }

    /// Messages of level SEVERE on its console since the last call: errors of scripts, and what could not be loaded.
    pub async fn severe(&self) -> Vec<String> {
        let body = json!({ "type": "browser" }).to_string();
        let log = self.page.issue_cmd(Raw { path: "se/log", body }).await.unwrap();
        let entries = log.as_array().expect("a list of messages").iter();
        entries.filter(|entry| entry["level"] == "SEVERE").map(|entry| entry["message"].to_string()).collect()
    }

    pub async fn find(&self, css: &str) -> Element {
        self.found(Locator::Css(css)).await
    }

    /// Waits for what is at a place on the page.
    pub async fn found(&self, at: Locator<'_>) -> Element {
        match self.page.wait().at_most(PATIENCE).for_element(at).await {
            Ok(element) => element,
            Err(CmdError::WaitTimeout) => panic!("nothing at {at:?} on this page:\n{}", self.text().await),
            Err(error) => panic!("{at:?}: {error}"),
        }
    }

    /// All that a person can read.
    pub async fn text(&self) -> String {
        self.page.find(Locator::Css("body")).await.unwrap().text().await.unwrap()
    }

    /// Waits until an expression is true.
    pub async fn until(&self, expression: &str) {
        let script = format!("return !!({expression});");
        let waited = tokio::time::timeout(PATIENCE, async {
            while self.page.execute(&script, vec![]).await.unwrap() != Value::Bool(true) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        if waited.await.is_err() {
            panic!("never true: {expression}, on this page:\n{}", self.text().await);
        }
    }

    pub async fn value(&self, expression: &str) -> Value {
        self.page.execute(&format!("return {expression};"), vec![]).await.unwrap()
    }

    /// Drops files of the disk on an element, as from a file manager.
    pub async fn drop_files(&self, files: &[PathBuf], css: &str) {
        let (x, y, width, height) = self.find(css).await.rectangle().await.unwrap();
        let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        for event in ["dragEnter", "dragOver", "drop"] {
            let data = json!({ "items": [], "files": files, "dragOperationsMask": 1 });
            let at = json!({ "type": event, "x": x + width / 2.0, "y": y + height / 2.0, "data": data });
            self.devtools("Input.dispatchDragEvent", at).await;
        }
    }

    /// A screen of this width, in light or dark colours; saves what it shows where USERDATA_TEST_SHOTS says.
    pub async fn shot(&self, name: &str, width: u32, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", media).await;
        let size =
            |height: u64| json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", size(900)).await;
        if let Some(folder) = std::env::var_os("USERDATA_TEST_SHOTS") {
            let height = self.value("document.documentElement.scrollHeight").await.as_u64().unwrap();
            self.devtools("Emulation.setDeviceMetricsOverride", size(height)).await;
            let image = self.page.screenshot().await.unwrap();
            std::fs::write(Path::new(&folder).join(format!("{name}-{width}-{scheme}.png")), image).unwrap();
        }
        let wide = self.value("document.documentElement.scrollWidth").await;
        let widest = "[...document.querySelectorAll('*')].filter((e) => e.getBoundingClientRect().right > WIDTH)                      .map((e) => e.outerHTML.slice(0, 120))";
        assert!(
            wide.as_u64() <= Some(width.into()),
            "{:#} \n the page is {wide} wide on a screen of {width}",
            self.value(&widest.replace("WIDTH", &width.to_string())).await
        );
    }
}

impl Drop for Chromium {
    /// Its processes end by themselves after `close`; a test that failed must not leave them behind.
    fn drop(&mut self) {
        let name = self.profile.path().display().to_string();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw) else {
                continue;
            };
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&command).contains(&name) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// A command that is Chromium's own.
#[derive(Debug)]
struct Raw {
    path: &'static str,
    body: String,
}

impl WebDriverCompatibleCommand for Raw {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.clone()))
    }
}
