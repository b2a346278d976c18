"""Whether a session is still alive: one module for each way in which it can fail, and the policy that asks them all."""
