//! Groups items into tasks of bounded size.

/// Groups items in order, so that no group exceeds a limit on the sum of either measure.
///
/// An item that exceeds a limit forms a group alone.
pub(crate) fn groups<T>(items: Vec<T>, limits: [u64; 2], measures: impl Fn(&T) -> [u64; 2]) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    let mut sums = [0; 2];
    for item in items {
        let own = measures(&item);
        let extended = [sums[0] + own[0], sums[1] + own[1]];
        let fits = extended[0] <= limits[0] && extended[1] <= limits[1];
        match groups.last_mut() {
            Some(group) if fits => {
                sums = extended;
                group.push(item);
            }
            _ => {
                sums = own;
                groups.push(vec![item]);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups items whose first measure is 1 and whose second is their value.
    fn grouped(items: &[u64], max_items: u64, max_sum: u64) -> Vec<Vec<u64>> {
        groups(items.to_vec(), [max_items, max_sum], |item| [1, *item])
    }

    #[test]
    fn a_group_is_filled_up_to_each_limit() {
        assert_eq!(grouped(&[1, 1, 1, 1, 1], 2, 100), [vec![1, 1], vec![1, 1], vec![1]]);
        assert_eq!(grouped(&[4, 6, 1, 9, 2], 100, 10), [vec![4, 6], vec![1, 9], vec![2]]);
    }

    #[test]
    fn the_limit_that_is_reached_first_ends_the_group() {
        assert_eq!(grouped(&[9, 2, 1, 1, 1], 3, 10), [vec![9], vec![2, 1, 1], vec![1]]);
    }

    #[test]
    fn an_item_over_a_limit_is_alone_in_its_group() {
        assert_eq!(grouped(&[1, 99, 1, 2], 100, 10), [vec![1], vec![99], vec![1, 2]]);
        assert_eq!(grouped(&[1, 1], 0, 100), [[1], [1]]);
    }

    #[test]
    fn items_keep_their_order_and_none_is_lost() {
        let items: Vec<u64> = (0..1000).map(|number| number * 7919 % 101).collect();
        assert_eq!(grouped(&items, 7, 200).concat(), items);
        assert!(grouped(&[], 7, 200).is_empty());
    }
}
