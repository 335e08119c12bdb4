//! Debian's Chromium without a screen, driven over its debugging pipe, in real time.
//!
//! The pipe is the `DevTools` protocol: JSON messages that end in a zero byte, commands on file descriptor 3, answers on 4.

use crate::python::from_python;
use crate::{clock, programs};
use serde_json::{Value as Json, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// A cold Chromium on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Looking at a page of a thousand lines, on a busy machine.
const LOOKING: Duration = Duration::from_mins(5);

/// What [`Browser::faults`] evaluates.
const LOOK: &str = r#"(async () => {
  const faults = [];
  const across = document.documentElement.scrollWidth;
  if (across > innerWidth) {
    const out = [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5);
    faults.push(`it is ${across} wide, of ${innerWidth}: ${out.slice(0, 5).map((one) => one.outerHTML.slice(0, 120)).join(" ")}`);
  }
  const own = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  for (const one of document.querySelectorAll("body *")) {
    const size = parseFloat(getComputedStyle(one).fontSize);
    if (own(one) && one.getClientRects().length && size < 11) faults.push(`${size} px: ${one.outerHTML.slice(0, 120)}`);
  }
  const found = await axe.run(document, { resultTypes: ["violations"] });
  for (const fault of found.violations) {
    if (fault.impact !== "serious" && fault.impact !== "critical") continue;
    const where = fault.nodes.slice(0, 5).map((node) => node.html.slice(0, 160) + " " + node.failureSummary);
    faults.push(`${fault.id}: ${fault.help}\n  ${where.join("\n  ")}`);
  }
  return faults;
})()"#;

/// A browser with one page.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    commands: ChildStdin,
    answers: Receiver<Json>,
    session: String,
    next: u64,
    complaints: Vec<String>,
    // Last, so that it goes after the browser that lives in it.
    _profile: TempDir,
}

impl Browser {
    /// Opens `url` in a window of that many CSS pixels. Panics when Chromium does not start.
    pub fn open(url: &str, width: u32, height: u32) -> Self {
        let profile = tempfile::tempdir().expect("a temporary directory");
        // The shell puts the pipes where Chromium wants them, and becomes Chromium.
        let script = "exec 3<&0 4>&1 </dev/null >/dev/null 2>&1; exec \"$@\"";
        let mut child = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(programs::installed("chromium"))
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
            ])
            .args(["--remote-debugging-pipe", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        let commands = child.stdin.take().expect("it was piped");
        let output = BufReader::new(child.stdout.take().expect("it was piped"));
        let (sender, answers) = channel();
        thread::spawn(move || {
            for message in output.split(0).map_while(Result::ok) {
                if let Ok(message) = serde_json::from_slice(&message)
                    && sender.send(message).is_err()
                {
                    break;
                }
            }
        });
        let mut browser = Self {
            child,
            commands,
            answers,
            session: String::new(),
            next: 0,
            complaints: Vec::new(),
            _profile: profile,
        };
        let target = browser.command("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.command("Target.attachToTarget", &attach);
        session["sessionId"].as_str().expect("a session").clone_into(&mut browser.session);
        for domain in ["Log", "Runtime"] {
            browser.command(&format!("{domain}.enable"), &json!({}));
        }
        browser.resize(width, height);
        browser.go(url);
        browser
    }

    /// What the browser has had to complain of so far: scripts and styles that the page's policy stopped, errors of its scripts, files that are not there.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// Gives the window that many CSS pixels; below 600 across it is a phone's.
    pub fn resize(&mut self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.command("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Says that the device likes its pages `dark` or `light`.
    pub fn prefer(&mut self, colours: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": colours }] });
        self.command("Emulation.setEmulatedMedia", &features);
    }

    /// Goes to `url`, and waits until it has loaded. Panics when it does not.
    pub fn go(&mut self, url: &str) {
        // What was here before is loaded as well: it gets a mark that goes with it.
        self.evaluate("window.isOfBefore = true");
        self.command("Page.navigate", &json!({ "url": url }));
        let here = "!window.isOfBefore && document.readyState + location.protocol === 'completehttp:'";
        let complete = || (self.evaluate(here) == true).then_some(());
        assert!(clock::eventually(PATIENCE, complete).is_some(), "{url} does not load");
    }

    /// What is wrong with the page that is shown: it sticks out to the side, has text that is too small to read, or shuts people out by axe-core's judgement
    /// (what it calls serious or critical). A line each.
    pub fn faults(&mut self) -> Vec<String> {
        let axe = std::fs::read_to_string(&from_python().axe).expect("tests/python put it there");
        // The debugger evaluates it, so the page's own policy does not stop it.
        self.evaluate(&format!("{axe}; 0"));
        let looked = self.evaluate_within(LOOK, LOOKING);
        let faults = looked.as_array().unwrap_or_else(|| panic!("axe does not look: {looked}"));
        faults.iter().map(|fault| fault.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Asserts that there is nothing wrong with the page that is shown, at a phone's and a desk's width, in light and dark: for what is shown once, and
    /// not at an address.
    pub fn assert_sound_here(&mut self, what: &str) {
        for (width, height) in [(1280, 800), (360, 740)] {
            self.resize(width, height);
            for colours in ["light", "dark"] {
                self.prefer(colours);
                let faults = self.faults();
                assert!(
                    faults.is_empty(),
                    "{what}, {width} pixels across, {colours}:\n{}",
                    faults.join("\n")
                );
            }
        }
    }

    /// Asserts that there is nothing wrong with the page at `url` at a phone's and a desk's width, in light and dark. Leaves it at the last of them.
    pub fn assert_sound(&mut self, url: &str) {
        for (width, height) in [(360, 740), (1280, 800)] {
            self.resize(width, height);
            for colours in ["light", "dark"] {
                self.prefer(colours);
                self.go(url);
                let faults = self.faults();
                assert!(faults.is_empty(), "{url}, {width} pixels across, {colours}:\n{}", faults.join("\n"));
            }
        }
    }

    /// The value of a JavaScript expression on the page.
    pub fn evaluate(&mut self, expression: &str) -> Json {
        self.evaluate_within(expression, PATIENCE)
    }

    fn evaluate_within(&mut self, expression: &str, patience: Duration) -> Json {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        self.command_within("Runtime.evaluate", &parameters, patience)["result"]["value"].take()
    }

    /// A picture of the whole page, as PNG in base64.
    pub fn screenshot(&mut self) -> String {
        let answer = self.command("Page.captureScreenshot", &json!({ "captureBeyondViewport": true }));
        answer["data"].as_str().unwrap_or_default().to_owned()
    }

    /// Presses and lets go of a key, as a person does: `Tab`, `Enter`, `j`. What has been pressed may lead to another page, which is to be waited for.
    pub fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, None),
            "Enter" => (13, Some("\r")),
            letter => (letter.to_uppercase().bytes().next().map_or(0, u32::from), Some(letter)),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            if let (Some(text), "keyDown") = (text, kind) {
                event["text"] = Json::from(text);
            }
            self.command("Input.dispatchKeyEvent", &event);
        }
    }

    /// Types into what has the focus.
    pub fn write(&mut self, text: &str) {
        self.command("Input.insertText", &json!({ "text": text }));
    }

    /// Everything that the browser keeps for any server, scripts or not: `name`, `value`, `httpOnly`, `sameSite`, `secure`, each.
    pub fn cookies(&mut self) -> Vec<Json> {
        let mut answer = self.command("Storage.getCookies", &json!({}));
        match answer["cookies"].take() {
            Json::Array(cookies) => cookies,
            other => panic!("no cookies, but {other}"),
        }
    }

    fn hear(&mut self, event: &Json) {
        let said = match event["method"].as_str() {
            Some("Log.entryAdded") if event["params"]["entry"]["level"] == "error" => {
                &event["params"]["entry"]
            }
            Some("Runtime.exceptionThrown") => &event["params"]["exceptionDetails"],
            _ => return,
        };
        self.complaints.push(said.to_string());
    }

    fn command(&mut self, method: &str, parameters: &Json) -> Json {
        self.command_within(method, parameters, PATIENCE)
    }

    fn command_within(&mut self, method: &str, parameters: &Json, patience: Duration) -> Json {
        self.next += 1;
        let mut command = json!({ "id": self.next, "method": method, "params": parameters });
        if !self.session.is_empty() {
            command["sessionId"] = Json::from(self.session.as_str());
        }
        let sent =
            self.commands.write_all(format!("{command}\0").as_bytes()).and_then(|()| self.commands.flush());
        sent.unwrap_or_else(|error| panic!("chromium does not take {method}: {error}"));
        loop {
            match self.answers.recv_timeout(patience) {
                Ok(mut answer) if answer["id"] == self.next => {
                    assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                    return answer["result"].take();
                }
                Ok(event) => self.hear(&event),
                Err(RecvTimeoutError::Timeout) => panic!("chromium does not answer {method}"),
                Err(RecvTimeoutError::Disconnected) => panic!("chromium ended before it answered {method}"),
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It takes its own children with it; SIGKILL would leave them.
        let _ = self.commands.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        if clock::eventually(Duration::from_secs(5), || self.child.try_wait().ok().flatten()).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
