//! The answer to a query as JSON, written bit by bit while it is sent: the answer is in memory once, as samples, and what has been written
//! of it is let go. Knows no sockets.
//!
//! Invariant: the pieces put together are the whole answer, and one piece is at most [`PIECE`] and the labels of one series long.
//!
//! ```text
//! {"resultType":"matrix","result":[{"metric":{"site":"hall"},"values":[[1795145096,"1"],[1795145156.500,"1e-07"]]}]}
//! ```

use super::json;
use super::reply::{HEAD, write_end};
use flate2::Compression;
use flate2::write::GzEncoder;
use rackside_promql::{Answer, Labels, Line, Outcome, Point, Sample, format_float, format_value};
use std::io::Write;
use std::vec;

/// About as much is written at a time: less than a millisecond of work.
pub(super) const PIECE: usize = 64 << 10;

/// What is still to be written.
enum Rest {
    Points(vec::IntoIter<Point>),
    /// Series, and of the first of them, if it has begun, the samples that are left.
    Lines(vec::IntoIter<Line>, Option<vec::IntoIter<Sample>>),
    Nothing,
}

/// An answer on its way out.
pub(super) struct Pieces {
    begun: Vec<u8>,
    is_first: bool,
    rest: Rest,
    warnings: Vec<String>,
    is_done: bool,
}

impl Pieces {
    /// Of what a query has come to.
    pub(super) fn new(outcome: Outcome) -> Self {
        let mut begun = HEAD.to_vec();
        let rest = match outcome.answer {
            Answer::Scalar(sample) => {
                head(&mut begun, "scalar");
                // Here, and nowhere else, without exponents.
                json::write(&mut begun, &(sample.at as f64 / 1000.0, format_float(sample.value)));
                Rest::Nothing
            }
            Answer::String { at, text } => {
                head(&mut begun, "string");
                json::write(&mut begun, &(at as f64 / 1000.0, text));
                Rest::Nothing
            }
            Answer::Vector(points) => {
                head(&mut begun, "vector");
                begun.push(b'[');
                Rest::Points(points.into_iter())
            }
            Answer::Matrix(lines) => {
                head(&mut begun, "matrix");
                begun.push(b'[');
                Rest::Lines(lines.into_iter(), None)
            }
        };
        Self { begun, is_first: true, rest, warnings: outcome.warnings, is_done: false }
    }

    fn fill(&mut self, out: &mut Vec<u8>) {
        while out.len() < PIECE {
            match &mut self.rest {
                Rest::Points(points) => {
                    let Some(point) = points.next() else { break };
                    metric(out, &point.labels, &mut self.is_first);
                    out.extend(b",\"value\":");
                    sample(out, point.sample);
                    out.push(b'}');
                }
                Rest::Lines(lines, None) => {
                    let Some(line) = lines.next() else { break };
                    metric(out, &line.labels, &mut self.is_first);
                    out.extend(b",\"values\":[");
                    self.rest = Rest::Lines(std::mem::take(lines), Some(line.samples.into_iter()));
                    self.samples(out, true);
                }
                Rest::Lines(..) => self.samples(out, false),
                Rest::Nothing => break,
            }
        }
        if out.len() < PIECE {
            self.is_done = true;
            out.extend(if matches!(self.rest, Rest::Nothing) { &b"}"[..] } else { &b"]}"[..] });
            write_end(out, &self.warnings);
        }
    }

    /// Samples of the series that has begun, as many as fit.
    fn samples(&mut self, out: &mut Vec<u8>, mut is_first: bool) {
        let Rest::Lines(_, begun) = &mut self.rest else { return };
        let Some(samples) = begun else { return };
        for one in samples {
            if !std::mem::take(&mut is_first) {
                out.push(b',');
            }
            sample(out, one);
            if out.len() >= PIECE {
                return;
            }
        }
        *begun = None;
        out.extend(b"]}");
    }
}

impl Iterator for Pieces {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.is_done {
            return None;
        }
        let mut out = std::mem::take(&mut self.begun);
        self.fill(&mut out);
        Some(out)
    }
}

fn head(out: &mut Vec<u8>, kind: &str) {
    out.extend(b"{\"resultType\":");
    json::write(out, kind);
    out.extend(b",\"result\":");
}

fn metric(out: &mut Vec<u8>, labels: &Labels, is_first: &mut bool) {
    if !std::mem::take(is_first) {
        out.push(b',');
    }
    out.extend(b"{\"metric\":");
    write_labels(out, labels);
}

/// A set of labels as an object.
pub(super) fn write_labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (at, label) in labels.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::write(out, &*label.name);
        out.push(b':');
        json::write(out, &*label.value);
    }
    out.push(b'}');
}

fn sample(out: &mut Vec<u8>, sample: Sample) {
    out.push(b'[');
    json::write_time(out, sample.at);
    out.extend(b",\"");
    out.extend(format_value(sample.value).as_bytes());
    out.extend(b"\"]");
}

/// Pieces on their way through a compressor.
pub(super) struct Compressed<I> {
    pieces: I,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl<I: Iterator<Item = Vec<u8>>> Compressed<I> {
    /// Compresses `pieces`.
    pub(super) fn new(pieces: I) -> Self {
        Self { pieces, encoder: Some(GzEncoder::new(Vec::new(), Compression::new(3))) }
    }
}

impl<I: Iterator<Item = Vec<u8>>> Iterator for Compressed<I> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut encoder = self.encoder.take()?;
        for piece in self.pieces.by_ref() {
            encoder.write_all(&piece).expect("a Vec takes every write");
            // Of little comes nothing at first.
            if encoder.get_ref().len() >= PIECE / 8 {
                let ready = std::mem::take(encoder.get_mut());
                self.encoder = Some(encoder);
                return Some(ready);
            }
        }
        Some(encoder.finish().expect("a Vec takes every write"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn text(answer: Answer, warnings: &[&str]) -> String {
        let warnings = warnings.iter().map(|text| (*text).to_owned()).collect();
        let pieces: Vec<u8> = Pieces::new(Outcome { answer, warnings }).flatten().collect();
        let text = String::from_utf8(pieces).expect("JSON is text");
        let data =
            text.strip_prefix("{\"status\":\"success\",\"data\":").and_then(|rest| rest.strip_suffix('}'));
        data.expect("the envelope").to_owned()
    }

    fn labels(site: &str) -> Labels {
        Labels::new([("__name__", "up"), ("site", site)])
    }

    #[test]
    fn each_kind_of_answer_is_written_as_prometheus_writes_it() {
        let at = -1500;
        assert_eq!(
            text(Answer::Scalar(Sample::new(at, 1e22)), &[]),
            r#"{"resultType":"scalar","result":[-1.5,"10000000000000000000000"]}"#
        );
        let string = Answer::String { at, text: "a<".to_owned() };
        assert_eq!(text(string, &[]), r#"{"resultType":"string","result":[-1.5,"a\u003c"]}"#);
        let point = |site, value| Point { labels: labels(site), sample: Sample::new(at, value) };
        assert_eq!(
            text(Answer::Vector(vec![point("a", 1e22), point("b", f64::NAN)]), &[]),
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","site":"a"},"value":[-1.500,"1e+22"]},{"metric":{"__name__":"up","site":"b"},"value":[-1.500,"NaN"]}]}"#
        );
        let line = |site, samples: &[i64]| Line {
            labels: labels(site),
            samples: samples.iter().map(|at| Sample::new(*at, 0.5)).collect(),
        };
        assert_eq!(
            text(Answer::Matrix(vec![line("a", &[1000, 2001]), line("b", &[])]), &["old & <new>"]),
            r#"{"resultType":"matrix","result":[{"metric":{"__name__":"up","site":"a"},"values":[[1,"0.5"],[2.001,"0.5"]]},{"metric":{"__name__":"up","site":"b"},"values":[]}]},"warnings":["old \u0026 \u003cnew\u003e"]"#
        );
        assert_eq!(text(Answer::Vector(Vec::new()), &[]), r#"{"resultType":"vector","result":[]}"#);
        assert_eq!(text(Answer::Matrix(Vec::new()), &[]), r#"{"resultType":"matrix","result":[]}"#);
    }

    fn large() -> Outcome {
        let samples = |count| (0..count).map(|at| Sample::new(at * 1000, at as f64 / 8.0)).collect();
        let mut lines = vec![Line { labels: labels("long"), samples: samples(40_000) }];
        lines.extend((0..3000).map(|at| Line { labels: labels(&format!("site-{at}")), samples: samples(3) }));
        Outcome { answer: Answer::Matrix(lines), warnings: vec!["w".to_owned()] }
    }

    #[test]
    fn a_large_answer_comes_in_small_pieces_and_whole() {
        let pieces: Vec<Vec<u8>> = Pieces::new(large()).collect();
        assert!(pieces.len() > 10);
        assert!(pieces.iter().all(|piece| piece.len() < PIECE + 1024), "a long series is cut as well");
        let whole: serde_json::Value = serde_json::from_slice(&pieces.concat()).expect("JSON");
        let result = whole["data"]["result"].as_array().expect("a list");
        assert_eq!(result.len(), 3001);
        assert_eq!(result[0]["values"].as_array().map(Vec::len), Some(40_000));
        assert!(
            result[1..].iter().all(|line| line["values"].as_array().is_some_and(|values| values.len() == 3))
        );
        assert_eq!(whole["warnings"], serde_json::json!(["w"]));
    }

    #[test]
    fn compressed_it_is_the_same() {
        let compressed: Vec<Vec<u8>> = Compressed::new(Pieces::new(large())).collect();
        assert!(compressed.len() > 2, "it does not wait for the end");
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(&*compressed.concat()).read_to_end(&mut out).expect("gzip");
        assert_eq!(out, Pieces::new(large()).flatten().collect::<Vec<u8>>());
    }
}
