//! AWS's partitions: separate clouds, each with its own regions, host names and ARNs.
//! Not here: anything about other servers that speak S3.
//! Called for addresses (`client`), for roles (`credentials`) and for policy documents (`policy`).

/// A partition, see <https://docs.aws.amazon.com/general/latest/gr/rande.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Partition {
    Standard,
    China,
    UsGov,
}

impl Partition {
    pub fn of_region(region: &str) -> Self {
        if region.starts_with("cn-") {
            Self::China
        } else if region.starts_with("us-gov-") {
            Self::UsGov
        } else {
            Self::Standard
        }
    }

    /// The partition that an ARN names; `None` when the text is no ARN of one.
    pub fn of_arn(arn: &str) -> Option<Self> {
        let (name, _) = arn.strip_prefix("arn:")?.split_once(':')?;
        [Self::Standard, Self::China, Self::UsGov].into_iter().find(|partition| partition.name() == name)
    }

    /// The second part of an ARN.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "aws",
            Self::China => "aws-cn",
            Self::UsGov => "aws-us-gov",
        }
    }

    /// What host names end in.
    pub fn domain(self) -> &'static str {
        match self {
            Self::China => "amazonaws.com.cn",
            Self::Standard | Self::UsGov => "amazonaws.com",
        }
    }

    /// A region that always answers, for requests that do not yet know theirs.
    pub fn first_region(self) -> &'static str {
        match self {
            Self::Standard => "us-east-1",
            Self::China => "cn-north-1",
            Self::UsGov => "us-gov-west-1",
        }
    }
}
