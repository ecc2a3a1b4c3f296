//! The event bus: rules, pipes and schedules that take events to targets, with a policy for delivery.
