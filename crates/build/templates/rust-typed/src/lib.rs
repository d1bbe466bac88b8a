//! The functions of `__NAME__`. Their types are made of `wit/world.wit`.

wit_bindgen::generate!();

struct App;

export!(App);

impl Guest for App {
    fn total(items: Vec<Item>, discount: Option<u32>) -> Result<Bill, String> {
        let discount = u64::from(discount.unwrap_or(0));
        if discount > 100 {
            return Err("more than 100 percent off".to_owned());
        }
        let full: u64 = items
            .iter()
            .map(|item| u64::from(item.price) * u64::from(item.count))
            .sum();
        let count = items.iter().map(|item| u64::from(item.count)).sum();
        let narrow = |number: u64| u32::try_from(number).map_err(|_| "too much for one bill");
        Ok(Bill {
            items: narrow(count)?,
            total: narrow(full / 100 * (100 - discount) + full % 100 * (100 - discount) / 100)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tea() -> Vec<Item> {
        vec![Item {
            name: "tea".to_owned(),
            price: 450,
            count: 2,
        }]
    }

    #[test]
    fn it_adds_up() {
        let bill = App::total(tea(), Some(10)).unwrap();
        assert_eq!((bill.items, bill.total), (2, 810));
    }

    #[test]
    fn it_gives_no_more_than_all_of_it() {
        assert!(App::total(tea(), Some(101)).is_err());
    }
}
