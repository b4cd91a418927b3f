//! The report in a real browser: it says what the tables say, asks nobody for anything, and does what it offers.
//!
//! Skipped, with the reason printed, where Chromium and its driver are not installed (Debian: `chromium` and
//! `chromium-driver`).

#![cfg(unix)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value as Json, json};

use common::{folder, text, wait_for, xtask};

/// A browser without a window, steered over the W3C's protocol `WebDriver` with Chromium's additions.
struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

fn installed(program: &str) -> bool {
    ["/usr/bin", "/usr/local/bin"].iter().any(|folder| Path::new(folder).join(program).exists())
}

impl Browser {
    fn open(profile: &Path) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let mut browser = Self { driver, port, session: String::new() };
        wait_for("the driver", 30, || TcpStream::connect(("127.0.0.1", port)).ok());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,900",
            &format!("--user-data-dir={}", text(profile)),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let session = browser.request("POST", "/session", &wanted);
        browser.session = session["sessionId"].as_str().expect("a session has an id").into();
        browser
    }

    /// One call of the protocol; no answer takes longer than a minute.
    fn request(&self, method: &str, path: &str, body: &Json) -> Json {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the driver listens");
        stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a time that is not zero");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            self.port,
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).expect("the driver reads");
        let mut answer = Vec::new();
        let mut buffer = vec![0; 65_536];
        // The driver may keep the connection open: the answer is as long as it says.
        let whole = |answer: &[u8]| -> Option<Json> {
            let text = String::from_utf8_lossy(answer);
            let (head, body) = text.split_once("\r\n\r\n")?;
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok()
            })?;
            (body.len() >= length)
                .then(|| serde_json::from_str(&body[..length]).expect("the driver answers in JSON"))
        };
        let answer = loop {
            let read = stream.read(&mut buffer).expect("the driver answers");
            answer.extend_from_slice(&buffer[..read]);
            if let Some(answer) = whole(&answer) {
                break answer;
            }
            assert!(read > 0, "the driver hung up: {}", String::from_utf8_lossy(&answer));
        };
        let value = answer["value"].clone();
        assert!(value.get("error").is_none(), "{method} {path}: {value}");
        value
    }

    fn post(&self, path: &str, body: &Json) -> Json {
        self.request("POST", &format!("/session/{}{path}", self.session), body)
    }

    /// What a script on the page returns.
    fn run(&self, script: &str) -> Json {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Moves the mouse over the middle of the element that `script` finds, and presses it where `click` is set.
    fn mouse(&self, script: &str, click: bool) {
        let element =
            self.run(&format!("const e = {script}; e.scrollIntoView({{block: 'center'}}); return e;"));
        let mut actions =
            vec![json!({"type": "pointerMove", "duration": 0, "origin": element, "x": 0, "y": 0})];
        if click {
            actions.push(json!({"type": "pointerDown", "button": 0}));
            actions.push(json!({"type": "pointerUp", "button": 0}));
        }
        self.post("/actions", &json!({"actions": [{"type": "pointer", "id": "mouse", "actions": actions}]}));
    }

    /// A picture of the page at some width, in light or dark, kept beside the build for people to look at.
    fn picture(&self, name: &str, width: u32, scheme: &str) {
        let execute = |command: &str, parameters: Json| {
            self.post("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
        };
        execute(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        );
        let metrics = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600});
        execute("Emulation.setDeviceMetricsOverride", metrics);
        let wide = self.run("return document.documentElement.scrollWidth - innerWidth;");
        assert!(
            wide.as_i64().is_some_and(|more| more <= 0),
            "{name}: the page is {wide} pixels wider than the screen"
        );
        let shot = execute("Page.captureScreenshot", json!({"captureBeyondViewport": true}));
        let bytes = base64(shot["data"].as_str().expect("a picture in base64"));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::write(folder.join(format!("report-{name}.png")), bytes).expect("cargo's folder for tests");
    }

    fn log(&self, kind: &str) -> Vec<Json> {
        let log = self.post("/se/log", &json!({"type": kind}));
        log.as_array().expect("a log is a list").clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.request("DELETE", &format!("/session/{}", self.session), &Json::Null);
        }
        common::signal(&self.driver, "TERM");
        let _ = self.driver.wait();
    }
}

fn base64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|c| *c != b'=').map(value).collect();
    let bytes = digits.chunks(4).flat_map(|four| {
        let word =
            four.iter().fold(0_u32, |word, digit| word << 6 | u32::from(*digit)) << (6 * (4 - four.len()));
        word.to_be_bytes()[1..four.len()].to_vec()
    });
    bytes.collect()
}

/// Mean test accuracy of each rule in `results.csv`, in per cent with two decimals, as the page writes it.
fn means(results: &Path) -> Vec<(String, String)> {
    let mut reader = csv::Reader::from_path(results).expect("results");
    let headers = reader.headers().expect("a header row").clone();
    let column = |name: &str| headers.iter().position(|header| header == name).expect("a column");
    let (rule, accuracy) = (column("rule"), column("test_accuracy"));
    let mut sums: Vec<(String, f64, f64)> = Vec::new();
    for row in reader.records().map(|row| row.expect("a row")) {
        let value: f64 = row[accuracy].parse().expect("a fraction");
        match sums.iter_mut().find(|(name, ..)| *name == row[rule]) {
            Some((_, sum, count)) => (*sum, *count) = (*sum + value, *count + 1.0),
            None => sums.push((row[rule].into(), value, 1.0)),
        }
    }
    sums.into_iter().map(|(rule, sum, count)| (rule, format!("{:.2}", 100.0 * sum / count))).collect()
}

fn images_come_with_what_was_said_of_them(browser: &Browser) {
    let images = browser.run("return document.querySelectorAll('#gallery image').length;");
    assert!(images.as_u64().is_some_and(|count| count >= 16), "{images}");
    browser.mouse("document.querySelector('#gallery .hover rect')", false);
    let tip = browser.run("return document.querySelector('.tip').innerText;");
    let tip = tip.as_str().expect("a text");
    assert!(tip.starts_with("Image ") && tip.contains(" of 64 votes"), "{tip}");
}

#[test]
fn the_report_works_in_a_browser() {
    for program in ["chromedriver", "chromium"] {
        if !installed(program) {
            println!("skipped: {program} is not installed");
            return;
        }
    }
    let folder = folder();
    let out = folder.path().join("out");
    let mut command = xtask(&["sweep", "quickstart", "--out", text(&out)]);
    for setting in ["epochs=4", "train-count=1200", "test-count=200", "seed=[1, 2]", "sampled-inference=true"]
    {
        command.args(["--set", setting]);
    }
    command.assert().success();
    let browser = Browser::open(&folder.path().join("profile"));
    browser.post("/url", &json!({"url": format!("file://{}", text(&out.join("report.html")))}));

    // The headline numbers are those of results.csv.
    let table = browser.run(
        "return [...document.querySelectorAll('#results tbody tr')].map(row => [row.cells[0].innerText.trim(), row.cells[2].innerText.trim()]);",
    );
    let shown: Vec<(String, String)> = serde_json::from_value(table).expect("pairs of texts");
    let expected = means(&out.join("results.csv"));
    assert_eq!(shown.len(), expected.len());
    for (rule, mean) in &expected {
        let written = match rule.as_str() {
            "bs" => "BS",
            "hp-relu" => "HP ReLU",
            _ => "HP sigmoid",
        };
        let found = &shown
            .iter()
            .find(|(name, _)| name == written)
            .unwrap_or_else(|| panic!("{written}: {shown:?}"))
            .1;
        assert_eq!(found.split(' ').next(), Some(mean.as_str()), "{written}");
    }
    let best = browser.run("return document.querySelector('.claim').innerText;");
    let highest = expected.iter().map(|(_, mean)| mean).max().expect("rules");
    assert!(best.as_str().is_some_and(|claim| claim.contains(highest)), "{best}");

    // Figures are there, with their lines in them, and stand in files too.
    let figures = browser
        .run("return [...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().height);");
    let heights: Vec<f64> = serde_json::from_value(figures).expect("numbers");
    assert!(heights.len() >= 6 && heights.iter().all(|height| *height > 50.0), "{heights:?}");
    let files = fs::read_dir(out.join("figures")).expect("a folder of figures").count();
    assert_eq!(files, 2 * heights.len());

    // Values under the pointer.
    browser.mouse("document.querySelector('#learning .hover rect:nth-child(2)')", false);
    let tip =
        browser.run("const tip = document.querySelector('.tip'); return tip.hidden ? '' : tip.innerText;");
    let tip = tip.as_str().expect("a text");
    assert!(tip.starts_with("Epoch 2") && tip.contains("BS: ") && tip.contains("HP ReLU: "), "{tip}");

    images_come_with_what_was_said_of_them(&browser);

    // A line is hidden and comes back.
    let lines = "[...document.querySelectorAll('#learning .panel:first-of-type g.series')].filter(g => g.getBoundingClientRect().width > 0).length";
    let count = || browser.run(&format!("return {lines};"));
    let toggle = "document.querySelector('#learning .toggle')";
    let all = count();
    browser.mouse(toggle, true);
    assert_eq!(count(), json!(all.as_i64().expect("a count") - 1));
    browser.mouse(toggle, true);
    assert_eq!(count(), all);

    // A table is sorted by a column, both ways and back.
    let losses = || -> Vec<f64> {
        let cells = browser.run(
            "return [...document.querySelectorAll('#results tbody tr')].map(row => parseFloat(row.cells[5].innerText));",
        );
        serde_json::from_value(cells).expect("numbers")
    };
    let before = losses();
    let head = "document.querySelectorAll('#results thead th')[5].querySelector('button')";
    browser.mouse(head, true);
    assert!(losses().is_sorted_by(|a, b| a >= b), "{:?}", losses());
    browser.mouse(head, true);
    assert!(losses().is_sorted(), "{:?}", losses());
    browser.mouse(head, true);
    assert_eq!(losses(), before);

    // The settings of a run are one click away.
    browser.run("for (const details of document.querySelectorAll('details')) details.open = true;");
    browser.mouse("document.querySelector('[data-run] button')", true);
    let settings = browser.run("return document.querySelector('dialog[open] pre').innerText;");
    let settings = settings.as_str().expect("a text");
    assert!(settings.contains("epochs = 4") && settings.contains("step-hidden = 0.2"), "{settings}");
    browser.mouse("document.querySelector('dialog[open] button')", true);
    browser.run(
        "for (const details of document.querySelectorAll('details')) details.open = false; scrollTo(0, 0);",
    );

    for (name, width, scheme) in [("light", 1280, "light"), ("dark", 1280, "dark"), ("phone", 390, "light")] {
        browser.picture(name, width, scheme);
    }

    // Nobody was asked for anything, and nothing went wrong.
    let console = browser.log("browser");
    assert!(console.is_empty(), "{console:?}");
    let requests: Vec<String> = browser
        .log("performance")
        .iter()
        .filter_map(|entry| serde_json::from_str::<Json>(entry["message"].as_str()?).ok())
        .filter(|event| event["message"]["method"] == "Network.requestWillBeSent")
        .map(|event| event["message"]["params"].clone())
        // The page that the browser opens with is its own.
        .filter(|request| !request["documentURL"].as_str().is_some_and(|page| page.starts_with("chrome://")))
        .map(|request| request["request"]["url"].as_str().unwrap_or_default().to_owned())
        // A picture that stands in the page asks nobody, though the browser lists it.
        .filter(|url| !url.starts_with("data:"))
        .collect();
    assert_eq!(requests, [format!("file://{}", text(&out.join("report.html")))]);
}
