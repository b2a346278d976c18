//! Runs the pipeline of its arguments until SIGTERM, with the plugins of livekitwebrtcsink linked in.

use gstreamer as gst;
use gst::prelude::*;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Err(error) = run() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    gst::init()?;
    gstrsrtp::plugin_register_static()?;
    gstrswebrtc::plugin_register_static()?;
    let description: Vec<String> = std::env::args().skip(1).collect();
    let pipeline = gst::parse::launch(&description.join(" "))?;
    pipeline.set_state(gst::State::Playing)?;
    let bus = pipeline.bus().ok_or("the pipeline has no bus")?;
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        if let gst::MessageView::Error(error) = message.view() {
            return Err(format!("{}: {}", error.error(), error.debug().unwrap_or_default()).into());
        }
    }
    Ok(())
}
