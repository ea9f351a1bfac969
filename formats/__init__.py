"""Middle floor: one artefact kind per module, from trees and layers to bytes."""
