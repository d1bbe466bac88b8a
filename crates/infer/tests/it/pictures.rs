//! From a picture to a tensor, against Pillow and NumPy; and files that are no pictures.

use crate::setup::{assert_close, bytes, numbers, references, setup, with};
use iof_infer::Config;

const IMAGENET: [&str; 4] = ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"];

/// One value of 255, divided by the smallest standard deviation: what rounding is worth.
const ONE_LEVEL: f32 = 1.01 / 255.0 / 0.224;

#[tokio::test]
async fn pictures_are_prepared_as_pillow_prepares_them() {
    let (setup, references) = (setup(), references());
    setup.put("echo", "echo.onnx", "");
    let seen = &references["pictures"];
    for filter in ["bilinear", "bicubic", "lanczos3", "hamming", "box"] {
        let args = [
            &["echo", "--resize", "8x8", "--filter", filter][..],
            &IMAGENET,
        ]
        .concat();
        let printed = setup.prints(&args, bytes("digit.png")).await;
        let got = interleaved(&numbers(&printed["seen"]["data"]));
        assert_close(&got, &numbers(&seen[filter]), ONE_LEVEL);
    }
    // The shorter side, and then the middle.
    let args = [&["echo", "--resize", "12", "--crop", "8x8"][..], &IMAGENET].concat();
    let printed = setup.prints(&args, bytes("digit.png")).await;
    let got = interleaved(&numbers(&printed["seen"]["data"]));
    assert_close(&got, &numbers(&seen["shorter"]), ONE_LEVEL);
}

/// As Pillow has pixels: channel after channel becomes pixel after pixel.
fn interleaved(planes: &[f32]) -> Vec<f32> {
    let plane = planes.len() / 3;
    let pixel = |at: usize| (0..3).map(move |channel| planes[channel * plane + at]);
    (0..plane).flat_map(pixel).collect()
}

#[tokio::test]
async fn a_picture_is_classified_as_onnxruntime_classifies_it() {
    let (setup, references) = (setup(), references());
    setup.put("digits", "digits.onnx", "[image]\n");
    let printed = setup.prints(&["digits"], bytes("digit.png")).await;
    let logits = numbers(&printed["logits"]["data"]);
    // A level of grey more or less in a few pixels moves a logit by less than that.
    assert_close(&logits, &numbers(&references["picture_logits"]), 0.05);
}

#[tokio::test]
async fn channels_and_scales_are_as_asked() {
    let setup = setup();
    setup.put("echo", "echo.onnx", "[image]\nscale = 1.0\n");
    setup.put("echo_u8", "echo_u8.onnx", "[image]\n");
    let rgb = numbers(&references()["rgb"]);
    let plane =
        |channel: usize| -> Vec<f32> { rgb.iter().skip(channel).step_by(3).copied().collect() };
    let planes = |order: [usize; 3]| order.map(plane).concat();
    let (png, exact) = (bytes("digit.png"), 1.01);
    let data = |printed: serde_json::Value| numbers(&printed["seen"]["data"]);
    let printed = setup
        .prints(&["echo", "--resize", "8x8"], png.clone())
        .await;
    assert_close(&data(printed), &planes([0, 1, 2]), exact);
    let printed = setup
        .prints(&["echo", "--resize", "8x8", "--bgr"], png.clone())
        .await;
    assert_close(&data(printed), &planes([2, 1, 0]), exact);
    let printed = setup.prints(
        &[
            "echo", "--resize", "8x8", "--scale", "2", "--mean", "-1,0,1", "--std", "2",
        ],
        png.clone(),
    );
    let expected = [0, 1, 2].map(|c| {
        plane(c)
            .iter()
            .map(|v| (v * 2.0 - (c as f32 - 1.0)) / 2.0)
            .collect::<Vec<_>>()
    });
    assert_close(&data(printed.await), &expected.concat(), exact);
    let printed = setup.prints(&["echo_u8"], png.clone()).await;
    assert_eq!(printed["seen"]["type"], "u8");
    assert_close(&data(printed), &rgb, exact);
    for (args, says) in [
        (&["echo"][..], "--resize"),
        (&["echo", "--resize", "4x4", "--crop", "8x8"], "cut out"),
        (&["echo", "--resize", "8x8", "--std", "0"], "std"),
        (&["echo", "--resize", "8x8", "--mean", "1,2"], "mean"),
        (&["echo_u8", "--scale", "1"], "u8"),
        (&["echo_u8", "--crop", "9x9"], "9x9"),
        (&["echo_u8", "--layout", "nchw"], "is no picture"),
    ] {
        let (status, line) = setup.fails(args, png.clone()).await;
        assert_eq!(status, 2, "{args:?}: {line}");
        assert!(line.contains(says), "{args:?}: {line}");
    }
}

#[tokio::test]
async fn what_is_no_picture_is_an_error() {
    let setup = setup();
    setup.put("digits", "digits.onnx", "[image]\n");
    let jpeg = bytes("digit.jpg");
    let garbage: Vec<u8> = (0..10 << 20)
        .map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let with_head = |head: &[u8]| [head, &garbage[..1 << 20]].concat();
    for (stdin, says) in [
        (Vec::new(), "stdin is no picture"),
        (garbage.clone(), "stdin is no picture"),
        (
            b"<svg></svg>".to_vec(),
            "neither PNG, JPEG, GIF, WebP nor BMP",
        ),
        (
            jpeg[..jpeg.len() / 8].to_vec(),
            "no picture that can be decoded",
        ),
        (
            with_head(b"\x89PNG\r\n\x1a\n"),
            "no picture that can be decoded",
        ),
        (with_head(b"\xff\xd8\xff"), "no picture that can be decoded"),
        (with_head(b"GIF89a"), ""),
        (with_head(b"RIFF\xff\xff\xff\x7fWEBPVP8L"), ""),
        (with_head(b"BM"), ""),
    ] {
        let (status, line) = setup.fails(&["digits"], stdin).await;
        // A random size may be too large before anything else is wrong.
        assert!(
            status == 4 || (says.is_empty() && status == 6),
            "{status} {line}"
        );
        assert!(line.contains(says), "{line}");
    }
}

#[tokio::test]
async fn a_bomb_is_refused_by_the_size_that_it_claims() {
    let setup = setup();
    setup.put("digits", "digits.onnx", "[image]\n");
    for (width, height) in [(1 << 30, 1 << 30), (8_000, 8_000), (40_000_001, 1)] {
        let (status, line) = setup.fails(&["digits"], bomb(width, height)).await;
        assert_eq!(status, 6, "{line}");
        assert!(line.contains("infer.image_pixels = 40000000"), "{line}");
    }
    // To be resized to more than may be decoded is no way around it.
    let few = with(Config {
        image_pixels: 20_000,
        ..Config::default()
    });
    few.put("echo", "echo.onnx", "");
    let (status, line) = few
        .fails(&["echo", "--resize", "200x101"], bytes("digit.png"))
        .await;
    assert_eq!(status, 6, "{line}");
    assert!(line.contains("infer.image_pixels = 20000"), "{line}");
    few.prints(&["echo", "--resize", "200x100"], bytes("digit.png"))
        .await;
}

/// A PNG of zeros, of which the last are not there: a few bytes that decode to width × height × 3.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let body = [kind, data].concat();
        let length = (data.len() as u32).to_be_bytes();
        [&length[..], &body, &crc(&body).to_be_bytes()].concat()
    };
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let head = [&size[..], &[8, 2, 0, 0, 0]].concat();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &head),
        chunk(b"IDAT", &[0x78, 0x9c, 0xed]),
        chunk(b"IEND", b""),
    ]
    .concat()
}

/// CRC-32 as PNG has it (ISO 3309).
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, &byte: &u8| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| {
            if c & 1 == 1 {
                0xedb8_8320 ^ (c >> 1)
            } else {
                c >> 1
            }
        })
    };
    !bytes.iter().fold(!0, step)
}
