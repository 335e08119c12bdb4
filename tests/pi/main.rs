//! The agent that ships for a 64-bit Pi, on an emulated Raspberry Pi 3, against a real hub on this machine.
//!
//! Debian's kernel on QEMU's `raspi3b`: drivers, registers and the missing clock are those of the real thing; speed and heat are not. What is
//! not emulated cannot be shown here: pull resistors, throttling, Wi-Fi; and edges as interrupts only with a chip of the kernel's own (`edges`). `card`
//! is what it boots from, `board` the running QEMU, `console` and `pins` the ways in, `light` what a light says, `rack` all of it with a hub; what is promised stands in the rest.
//!
//! Each test has a Pi of its own. They need `qemu-system-aarch64`, `fdtput` and a network for the first run; `tests/run` brings them.

mod board;
mod boot;
mod card;
mod console;
mod cpio;
mod edges;
mod front;
mod join;
mod light;
mod outage;
mod pins;
mod rack;
