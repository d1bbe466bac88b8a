//! Dice: what people type, and what they roll.

/// The most dice, and the most sides of one.
const MOST: u64 = 100;

/// Dice of one kind: `2d6` are two with six sides.
#[derive(Debug, PartialEq)]
pub struct Dice {
    count: u64,
    sides: u64,
}

impl Dice {
    /// Reads `2d6`, `d20`, or nothing, which is `1d6`.
    pub fn read(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "" => "1d6",
            text => text,
        };
        let (count, sides) = text.split_once('d')?;
        let count = match count {
            "" => 1,
            count => count.parse().ok()?,
        };
        let dice = Self {
            count,
            sides: sides.parse().ok()?,
        };
        let fits = |number: u64| (1..=MOST).contains(&number);
        (fits(dice.count) && fits(dice.sides)).then_some(dice)
    }

    /// Rolls them: the words of the answer.
    pub fn roll(&self, mut random: impl FnMut() -> u64) -> String {
        let eyes: Vec<u64> = (0..self.count).map(|_| random() % self.sides + 1).collect();
        let shown: Vec<_> = eyes.iter().map(u64::to_string).collect();
        match shown.as_slice() {
            [one] => format!("rolled {one}"),
            several => format!(
                "rolled {} = {}",
                several.join(" + "),
                eyes.iter().sum::<u64>()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn dice_are_read_and_rolled() {
        let mut next = 0..;
        let mut random = || next.next().unwrap();
        assert_eq!(
            Dice::read(" 3d6 ").unwrap().roll(&mut random),
            "rolled 1 + 2 + 3 = 6"
        );
        assert_eq!(Dice::read("").unwrap().roll(&mut random), "rolled 4");
        assert_eq!(Dice::read("d20").unwrap().roll(|| 19), "rolled 20");
    }

    #[test]
    fn what_is_not_dice_is_not_rolled() {
        for text in [
            "six",
            "0d6",
            "2d0",
            "101d6",
            "2d101",
            "-1d6",
            "2d6d2",
            "99999999999999999999d6",
        ] {
            assert_eq!(Dice::read(text), None, "{text}");
        }
    }
}
