//! The conversion of pictures to tensors, against Pillow and NumPy; and files that are not pictures.

use crate::setup::{assert_close, bytes, numbers, references, setup, with};
use iof_infer::Config;

const IMAGENET: [&str; 4] = ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"];

/// One value of 255, divided by the smallest standard deviation: the largest error of rounding.
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
    // Resizes the shorter side, and then crops the middle.
    let args = [&["echo", "--resize", "12", "--crop", "8x8"][..], &IMAGENET].concat();
    let printed = setup.prints(&args, bytes("digit.png")).await;
    let got = interleaved(&numbers(&printed["seen"]["data"]));
    assert_close(&got, &numbers(&seen["shorter"]), ONE_LEVEL);
}

/// Converts planes of channels to interleaved pixels, as Pillow has them.
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
    // One level of grey in a few pixels changes a logit by less than this.
    assert_close(&logits, &numbers(&references["picture_logits"]), 0.05);
}

#[tokio::test]
async fn channels_and_scales_follow_the_options() {
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
    for (args, expected) in [
        (&["echo"][..], "--resize"),
        (
            &["echo", "--resize", "4x4", "--crop", "8x8"],
            "cannot be cropped",
        ),
        (&["echo", "--resize", "8x8", "--std", "0"], "std"),
        (&["echo", "--resize", "8x8", "--mean", "1,2"], "mean"),
        (&["echo_u8", "--scale", "1"], "u8"),
        (&["echo_u8", "--crop", "9x9"], "9x9"),
        (&["echo_u8", "--layout", "nchw"], "is not a picture"),
    ] {
        let (status, line) = setup.fails(args, png.clone()).await;
        assert_eq!(status, 2, "{args:?}: {line}");
        assert!(line.contains(expected), "{args:?}: {line}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_a_picture_is_an_error() {
    let setup = setup();
    setup.put("digits", "digits.onnx", "[image]\n");
    let jpeg = bytes("digit.jpg");
    let garbage: Vec<u8> = (0..10 << 20)
        .map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let with_head = |head: &[u8]| [head, &garbage[..1 << 20]].concat();
    for (stdin, expected) in [
        (Vec::new(), "stdin is not a picture"),
        (garbage.clone(), "stdin is not a picture"),
        (
            b"<svg></svg>".to_vec(),
            "neither PNG, JPEG, GIF, WebP nor BMP",
        ),
        (
            jpeg[..jpeg.len() / 8].to_vec(),
            "not a picture that can be decoded",
        ),
        (
            with_head(b"\x89PNG\r\n\x1a\n"),
            "not a picture that can be decoded",
        ),
        (
            with_head(b"\xff\xd8\xff"),
            "not a picture that can be decoded",
        ),
        (with_head(b"GIF89a"), ""),
        (with_head(b"RIFF\xff\xff\xff\x7fWEBPVP8L"), ""),
        (with_head(b"BM"), ""),
    ] {
        let (status, line) = setup.fails(&["digits"], stdin).await;
        // A random size may exceed the limit before any other error is found.
        assert!(
            status == 4 || (expected.is_empty() && status == 6),
            "{status} {line}"
        );
        assert!(line.contains(expected), "{line}");
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
    // Resizing to a larger size than may be decoded does not bypass the limit.
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

/// A PNG of zeros that is truncated: a few bytes that decode to width × height × 3.
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

/// The CRC-32 of PNG (ISO 3309).
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
