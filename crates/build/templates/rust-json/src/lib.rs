//! Functions of `__NAME__`.

/// An order. Callers see it as a JSON Schema, with these lines.
#[iof::data]
pub struct Order {
    pub items: Vec<Item>,
    /// Percent off the whole order.
    pub discount: Option<u8>,
}

#[iof::data]
pub struct Item {
    pub name: String,
    /// In cents.
    pub price: u64,
    pub count: u64,
}

/// The price of an order.
#[iof::data]
#[derive(Debug, PartialEq)]
pub struct Total {
    pub items: u64,
    /// In cents.
    pub total: u64,
}

/// Adds up an order.
#[iof::function]
fn total(order: Order) -> Result<Total, iof::Error> {
    let discount = u64::from(order.discount.unwrap_or(0));
    if discount > 100 {
        return Err(iof::Error::new("discount", "More than 100 percent off."));
    }
    let whole: u64 = order.items.iter().map(|item| item.price * item.count).sum();
    Ok(Total {
        items: order.items.iter().map(|item| item.count).sum(),
        total: whole * (100 - discount) / 100,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_adds_up_and_takes_off() {
        let order = |discount| Order {
            items: vec![Item {
                name: "tea".into(),
                price: 450,
                count: 2,
            }],
            discount,
        };
        let total = |discount| total(order(discount));
        assert_eq!(total(Some(10)).unwrap(), Total { items: 2, total: 810 });
        assert!(total(Some(101)).is_err());
    }
}
