"""What people say of the responses: the sample, its page, agreement, and rates corrected by it."""
